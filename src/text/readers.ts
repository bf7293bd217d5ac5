// Readers: examples out of text, JSONL and Parquet files, one at a time.

import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import { didYouMean } from '../hint.js'
import type { textUnits } from './datasetSpec.js'
import type { Example } from './example.js'
import { sentences } from './sentences.js'

/** Names of the columns that hold the texts. */
export interface ColumnOptions {
  /** The text to edit. Default: `source` where there is one. */
  readonly sourceColumn?: string | undefined
  /** The finished text. Default: `target`, else `text`. */
  readonly targetColumn?: string | undefined
  /** What stands before the text and never changes. Default: `condition` where there is one. */
  readonly conditionColumn?: string | undefined
}

/** Options of {@link textFile}. */
export interface TextFileOptions {
  /** What one example is. Default `line`. Lines and sentences are trimmed; paragraphs end at blank lines. */
  readonly unit?: (typeof textUnits)[number]
}

/** The lines, sentences or paragraphs of a UTF-8 text file; empty ones are left out. */
export async function* textFile(path: string, options: TextFileOptions = {}): AsyncGenerator<Example> {
  const unit = options.unit ?? 'line'
  if (unit === 'line') {
    for await (const line of linesOf(path)) {
      const target = line.trim()
      if (target !== '') yield { target }
    }
    return
  }
  for await (const paragraph of paragraphsOf(path)) {
    const parts = unit === 'sentence' ? sentences(paragraph) : [paragraph]
    for (const target of parts) yield { target }
  }
}

/** The rows of a JSONL file: `{"source", "target"}`, `{"target"}` or `{"text"}`, or columns of other names. */
export async function* jsonlFile(path: string, columns: ColumnOptions = {}): AsyncGenerator<Example> {
  let number = 0
  for await (const line of linesOf(path)) {
    number++
    if (line.trim() !== '')
      yield exampleOf(parseLine(line, `${path} line ${number}`), columns, `${path} line ${number}`)
  }
}

/** The rows of a Parquet file, read a few thousand at a time. */
export async function* parquetFile(path: string, columns: ColumnOptions = {}): AsyncGenerator<Example> {
  await checkFile(path)
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file).catch((cause: unknown) => {
    throw new MergeError('ERR_INPUT', `${path}: expected a Parquet file (${messageOf(cause)})`, { cause })
  })
  const names = metadata.schema.slice(1).map(({ name }) => name)
  const wanted = Object.values(wantedColumns(names, columns, path))
  const rows = Number(metadata.num_rows)
  for (let rowStart = 0; rowStart < rows; rowStart += rowsAtOnce) {
    const rowEnd = Math.min(rows, rowStart + rowsAtOnce)
    const part = await parquetReadObjects({ file, metadata, columns: wanted, rowStart, rowEnd, compressors }).catch(
      (cause: unknown) => {
        throw new MergeError('ERR_INPUT', `${path}: cannot read rows ${rowStart} to ${rowEnd} (${messageOf(cause)})`, {
          cause,
        })
      },
    )
    for (const [index, row] of part.entries()) yield exampleOf(row, columns, `${path} row ${rowStart + index}`)
  }
}

/** The `text` of a JSON file with one document, cut like {@link textFile}. */
export async function* jsonTextFile(path: string, options: TextFileOptions = {}): AsyncGenerator<Example> {
  await checkFile(path)
  const document = z.looseObject({ text: z.string() }).safeParse(parseLine(await readFile(path, 'utf8'), path))
  if (!document.success) throw new MergeError('ERR_INPUT', `${path}: expected an object with a "text"`)
  const { text } = document.data
  const parts = options.unit === 'sentence' ? sentences(text) : [text.trim()]
  for (const target of parts) if (target !== '') yield { target }
}

const rowsAtOnce = 4096

/** An example from a row of named values. */
function exampleOf(row: unknown, columns: ColumnOptions, place: string): Example {
  const parsed = rowSchema.safeParse(row)
  if (!parsed.success) {
    throw new MergeError(
      'ERR_INPUT',
      `${place}: expected an object with a text, received ${JSON.stringify(row)?.slice(0, 60)}`,
    )
  }
  const values = parsed.data
  const { target, source, condition } = wantedColumns([...values.keys()], columns, place)
  const read = (name: string): string => {
    const value = values.get(name)
    if (typeof value === 'string') return value
    throw new MergeError(
      'ERR_INPUT',
      `${place}: column "${name}": expected a text, received ${value === null ? 'null' : typeof value}`,
    )
  }
  return {
    target: read(target),
    ...(source === undefined ? {} : { source: read(source) }),
    ...(condition === undefined ? {} : { condition: read(condition) }),
  }
}

const rowSchema = z
  .custom<object>((row) => typeof row === 'object' && row !== null && !Array.isArray(row))
  .transform((row) => new Map<string, unknown>(Object.entries(row)))

/** The names of the columns: of the target and, where there are such, of the source and of the condition. */
function wantedColumns(
  names: readonly string[],
  columns: ColumnOptions,
  place: string,
): { readonly target: string; readonly source?: string; readonly condition?: string } {
  const known = (name: string): boolean => names.includes(name)
  const refuse = (name: string): never => {
    const received = names.slice(0, 12).join(', ') || 'none'
    throw new MergeError(
      'ERR_INPUT',
      `${place}: expected a column "${name}", received columns ${received}${didYouMean(name, names)}`,
    )
  }
  const target = columns.targetColumn ?? (known('target') ? 'target' : 'text')
  if (!known(target)) refuse(columns.targetColumn ?? 'target" or "text')
  const source = columns.sourceColumn ?? (known('source') ? 'source' : undefined)
  const condition = columns.conditionColumn ?? (known('condition') ? 'condition' : undefined)
  for (const name of [source, condition]) if (name !== undefined && !known(name)) refuse(name)
  return {
    target,
    ...(source === undefined ? {} : { source }),
    ...(condition === undefined ? {} : { condition }),
  }
}

function parseLine(line: string, place: string): unknown {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new MergeError('ERR_INPUT', `${place}: expected JSON (${messageOf(cause)})`, { cause })
  }
}

/** Paragraphs: runs of lines that are not blank, joined by single spaces. */
async function* paragraphsOf(path: string): AsyncGenerator<string> {
  let lines: string[] = []
  for await (const line of linesOf(path)) {
    const trimmed = line.replace(/\s+/g, ' ').trim()
    if (trimmed !== '') {
      lines.push(trimmed)
    } else if (lines.length > 0) {
      yield lines.join(' ')
      lines = []
    }
  }
  if (lines.length > 0) yield lines.join(' ')
}

/** The lines of a UTF-8 file without their ends; bytes that are not UTF-8 are an error, not a replacement. */
async function* linesOf(path: string): AsyncGenerator<string> {
  await checkFile(path)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
    } catch (cause) {
      throw new MergeError('ERR_INPUT', `${path}: expected UTF-8 text, received other bytes`, { cause })
    }
  }
  let parts: string[] = []
  const chunks: AsyncIterable<Uint8Array> = createReadStream(path)
  for await (const chunk of chunks) {
    const [first = '', ...rest] = decode(chunk).split('\n')
    parts.push(first)
    for (const next of rest) {
      yield parts.join('').replace(/\r$/, '')
      parts = [next]
    }
  }
  const last = parts.join('') + decode()
  if (last !== '') yield last.replace(/\r$/, '')
}

async function checkFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new MergeError('ERR_INPUT', `data file: expected a readable file, received ${path}, which does not exist`, {
      cause,
    })
  })
  if (!found.isFile()) throw new MergeError('ERR_INPUT', `data file: expected a file, received the folder ${path}`)
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
