// Text input: the texts of a command, from its argument or one a line from stdin.

import { createInterface } from 'node:readline'
import { MergeError } from '../errors.js'

/** A text and how an error names its place; `undefined` for the argument. */
export interface InputText {
  readonly text: string
  readonly place?: string
}

/** The argument, or stdin's lines in groups: one by one from a terminal, more at once from a file or pipe. Aborted, it rejects. */
export async function* inputTexts(
  argument: string | undefined,
  signal: AbortSignal,
  input: NodeJS.ReadStream = process.stdin,
): AsyncGenerator<readonly InputText[]> {
  if (argument !== undefined && argument !== '-') {
    yield [{ text: argument }]
    return
  }
  const groupSize = input.isTTY ? 1 : linesAtOnce
  if (input.isTTY) process.stderr.write('Type one text a line; Ctrl-D ends.\n')
  let group: InputText[] = []
  let number = 0
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, signal })) {
    number++
    group.push({ text, place: `line ${number}` })
    if (group.length < groupSize) continue
    yield group
    group = []
  }
  signal.throwIfAborted()
  if (group.length > 0) yield group
  if (number === 0) throw new MergeError('ERR_INPUT', 'text: expected an argument or lines on stdin, received neither')
}

const linesAtOnce = 256

/** Runs `work` for a text; an error of ours says which line it was. */
export function placed<T>(input: InputText, work: (text: string) => T): T {
  try {
    return work(input.text)
  } catch (error) {
    if (!(error instanceof MergeError) || input.place === undefined) throw error
    throw new MergeError(error.code, `${input.place}: ${error.message}`, { cause: error, details: error.details })
  }
}

/** Parses `0:2` or `0:2,5:9` as spans of the text. */
export function parseSpans(flag: string, earlier: readonly (readonly [number, number])[] = []): [number, number][] {
  const spans = flag.split(',').map((part): [number, number] => {
    const match = /^\s*(\d+):(\d+)\s*$/.exec(part)
    if (match !== null) return [Number(match[1]), Number(match[2])]
    throw new MergeError('ERR_CONFIG', `locked: expected spans like 0:2,5:9, received ${JSON.stringify(flag)}`)
  })
  return [...earlier.map(([start, end]): [number, number] => [start, end]), ...spans]
}
