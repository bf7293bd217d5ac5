// Terminal: colours where they are wanted, text that cannot steer the terminal, files that were asked for.

import { writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { MergeError } from '../errors.js'

/** What the command line needs of stdout or stderr. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** Whether to colour what goes to this stream: `NO_COLOR` wins over `FORCE_COLOR`, which wins over the stream's kind. */
export function wantsColour(stream: Pick<Output, 'isTTY'>, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '') return env.FORCE_COLOR !== '0'
  return stream.isTTY === true && env.TERM !== 'dumb'
}

/** The text between the codes of these formats (`red`, `bold`, `strikethrough`, ...). */
export function paint(formats: readonly string[], text: string): string {
  return formats.reduce((inner, format) => {
    const [on = 0, off = 0] = inspect.colors[format] ?? []
    return `\u001b[${on}m${inner}\u001b[${off}m`
  }, text)
}

/** Control characters as their pictures: what a model writes must not move the cursor or change a colour. */
export function visible(text: string): string {
  return text
    .replace(/\p{Cc}/gu, (character) => controlPictures[character.charCodeAt(0)] ?? '\ufffd')
    .replace(/[\p{Bidi_Control}\p{Zl}\p{Zp}]/gu, '\ufffd')
}

// U+0000 to U+001F have pictures from U+2400 on, U+007F has U+2421.
const controlPictures: Readonly<Record<number, string>> = Object.fromEntries(
  Array.from({ length: 128 }, (_, code) => [code, code === 127 ? '\u2421' : String.fromCharCode(0x2400 + code)]),
)

/** Writes a file that the user asked for, or says that it cannot be written; `name` is the option's. */
export async function writeOutput(name: string, path: string, content: string): Promise<void> {
  await writeFile(path, content).catch((cause: unknown) => {
    const message = `${name}: expected a file that can be written, received ${path}`
    throw new MergeError('ERR_INPUT', message, { cause, details: { output: path } })
  })
}
