// measuredPart: the part of a Markdown file between two marks, which the command that measured it writes.

import { readFile } from 'node:fs/promises'
import { writeOutput } from './terminal.js'

/** What stands between the marks, and what a new file begins with. */
export interface MeasuredPart {
  readonly name: string
  /** The command to repeat it with. */
  readonly command: string
  readonly markdown: string
  /** Heads a part that the file does not have yet. */
  readonly heading: string
}

/** Puts a part into a file in place of the one that stands there; the rest of the file stays. */
export async function writeMeasured(path: string, part: MeasuredPart, newFile: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => newFile)
  await writeOutput('markdown', path, withMeasured(before, part))
}

/** The text with the part in it: between its marks, or at the end under its heading. */
export function withMeasured(text: string, { name, command, markdown, heading }: MeasuredPart): string {
  const [from, to] = [`<!-- measured: ${name} -->`, `<!-- /measured: ${name} -->`]
  const part = [from, '', '```sh', command, '```', '', markdown, '', to].join('\n')
  const start = text.indexOf(from)
  const end = text.indexOf(to, start)
  if (start < 0 || end < 0) return `${text.trimEnd()}\n\n${heading}\n\n${part}\n`
  return `${text.slice(0, start)}${part}${text.slice(end + to.length)}`
}

/** A command line as one would type it. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(' ')
}

/** A Markdown table; the first column is text, the others numbers. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = `|---|${head
    .slice(1)
    .map(() => '---:|')
    .join('')}`
  return [line(head), rule, ...rows.map(line)].join('\n')
}
