// traceSvg: a trace as a picture, for a README or a page.

import { escaped } from './markup.js'
import type { SpanKind, TraceLine } from './trace.js'

const fontSize = 14
const lineHeight = 21
/** Width of a character of a monospaced font, as a share of its size. */
const characterShare = 0.602
const margin = 18

const styles: Readonly<Record<SpanKind, string>> = {
  label: 'fill="#8b949e"',
  note: 'fill="#8b949e"',
  kept: 'fill="#e6edf3"',
  deleted: 'fill="#ff7b72" text-decoration="line-through"',
  mask: 'fill="#e3b341"',
  filled: 'fill="#56d364" font-weight="bold"',
}

/** An SVG document; it needs no script and no font of its own. */
export function traceSvg(lines: readonly TraceLine[]): string {
  const columns = Math.max(1, ...lines.map((spans) => spans.reduce((sum, { text }) => sum + [...text].length, 0)))
  const width = Math.ceil(columns * fontSize * characterShare + 2 * margin)
  const height = lines.length * lineHeight + 2 * margin - 4
  const rows = lines.map((spans, index) => {
    const y = margin + fontSize + index * lineHeight
    return `  <text x="${margin}" y="${y}" xml:space="preserve">${spans.map(tspan).join('')}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      `font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="${fontSize}">`,
    '  <title>How a text was refined, round by round</title>',
    `  <rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...rows,
    '</svg>',
    '',
  ].join('\n')
}

function tspan({ kind, text }: TraceLine[number]): string {
  return `<tspan ${styles[kind]}>${escaped(text)}</tspan>`
}
