// markupTree: the elements of an HTML page or an SVG, read strictly: every tag that opens must close in order.

export interface Element {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  /** Text of the element and all below it. */
  readonly text: string
}

const voids = new Set(['meta', 'br', 'link', 'img', 'input'])

/** All elements in the order in which they close; throws where the tags do not fit together. */
export function elementsOf(markup: string): Element[] {
  const open: { name: string; attributes: Record<string, string>; text: string }[] = []
  const elements: Element[] = []
  const close = (name: string): void => {
    const last = open.pop()
    if (last?.name !== name) throw new Error(`</${name}> closes <${last?.name}>`)
    const parent = open.at(-1)
    if (parent !== undefined) parent.text += last.text
    elements.push(last)
  }
  let end = 0
  for (const match of markup.matchAll(/<(\/?)([a-zA-Z][\w]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|<!doctype html>/g)) {
    const between = markup.slice(end, match.index)
    end = match.index + match[0].length
    const parent = open.at(-1)
    if (parent?.name !== 'style' && /[<>]|&(?!(?:amp|lt|gt|quot);)/.test(between))
      throw new Error(`stray sign in ${between}`)
    if (parent !== undefined) parent.text += unescaped(between)
    const [, slash, name = '', attributes = '', isEmpty] = match
    if (name === '') continue
    if (slash === '/') close(name)
    else {
      const pairs = [...attributes.matchAll(/([\w:-]+)="([^"]*)"/g)]
      open.push({
        name,
        attributes: Object.fromEntries(pairs.map(([, key = '', value = '']) => [key, unescaped(value)])),
        text: '',
      })
      if (isEmpty === '/' || voids.has(name)) close(name)
    }
  }
  if (open.length > 0) throw new Error(`<${open.at(-1)?.name}> is never closed`)
  if (markup.slice(end).trim() !== '') throw new Error(`text after the last tag: ${markup.slice(end)}`)
  return elements
}

const unescaped = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')
