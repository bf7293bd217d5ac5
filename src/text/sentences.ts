// sentences: splits English prose into sentences; good enough for training data.

/** The sentences of a text, trimmed, inner white space made single spaces. Breaks at blank lines too. */
export function sentences(text: string): string[] {
  return paragraphs(text).flatMap(sentencesOfParagraph)
}

/** The paragraphs of a text: what stands between blank lines, white space made single spaces. */
export function paragraphs(text: string): string[] {
  return text
    .split(/\r?\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph !== '')
}

function sentencesOfParagraph(paragraph: string): string[] {
  const result: string[] = []
  let start = 0
  // An end: mark, closing quotes or brackets, a space, and something a sentence can begin with.
  for (const end of paragraph.matchAll(/[.!?]+["'\u2019\u201d)\]]* (?=["'\u2018\u201c([]*[\p{Lu}\p{N}])/gu)) {
    const stop = end.index + end[0].length
    const isFullStop = /^\.["'\u2019\u201d)\]]* $/u.test(end[0])
    if (isFullStop && isAbbreviation(paragraph.slice(start, end.index), paragraph.slice(stop))) continue
    result.push(paragraph.slice(start, stop).trim())
    start = stop
  }
  const rest = paragraph.slice(start).trim()
  if (rest !== '') result.push(rest)
  return result
}

/** Does the full stop after this text belong to a shortened word? */
function isAbbreviation(before: string, after: string): boolean {
  const word = /[^\s("'\u2018\u201c[]*$/u.exec(before)?.[0] ?? ''
  if (titles.has(word.toLowerCase())) return true
  // No. 5, Art. 3, p. 12
  if (numbered.has(word.toLowerCase())) return /^\p{N}/u.test(after)
  // An initial (J. Adams), but not the pronoun at the end of a sentence.
  if (/^\p{Lu}$/u.test(word)) return word !== 'I'
  // U.S. Treasury goes on; `in the U.S. The` does not.
  return /^(?:\p{L}\.)+\p{L}$/u.test(word) && !starters.has(/^\p{L}+/u.exec(after)?.[0] ?? '')
}

const words = (list: string): ReadonlySet<string> => new Set(list.split(' '))

const titles = words(
  'mr mrs ms messrs mme dr st prof rev hon gen col maj capt lieut lt sgt gov sen rep adm com vs viz ft',
)
const numbered = words('no nos art sec p pp vol ch fig jan feb mar apr jun jul aug sept oct nov dec')
const starters = words(
  'The A An And But We I It He She They You This That These Those In On At For If When As Our My There',
)
