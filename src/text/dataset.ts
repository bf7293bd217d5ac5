// Dataset: examples to learn from; opened by description, filtered, split into training and held-out parts.

import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MergeError } from '../errors.js'
import { randomFrom } from '../random.js'
import { type DatasetSpec, type ResolvedDatasetSpec, resolveDatasetSpec } from './datasetSpec.js'
import type { Example } from './example.js'
import { jsonlFile, jsonTextFile, parquetFile, textFile } from './readers.js'

export type { Example } from './example.js'

/** Options of {@link split}. */
export interface SplitOptions {
  /** How many examples to hold out; with repeated targets a few more, since equal targets stay on one side. */
  readonly heldOut: number
  /** Any safe integer. */
  readonly seed: number
}

/**
 * All examples of a data set.
 *
 * @example
 * const examples = await openDataset({ file: 'letters.jsonl', maxLength: 200, unique: true })
 */
export async function openDataset(spec: DatasetSpec): Promise<Example[]> {
  const examples: Example[] = []
  for await (const example of streamDataset(spec)) examples.push(example)
  if (examples.length === 0) {
    throw new MergeError('ERR_INPUT', `data: expected at least one example, received none from ${nameOf(spec)}`, {
      details: { spec },
    })
  }
  return examples
}

/** The examples of a data set one at a time, for those that do not fit into memory. */
export async function* streamDataset(spec: DatasetSpec): AsyncGenerator<Example> {
  const resolved = resolveDatasetSpec(spec)
  const { minLength, maxLength = Number.POSITIVE_INFINITY, unique, ascii, limit = Number.POSITIVE_INFINITY } = resolved
  const seen = new Set<string>()
  let count = 0
  for await (const example of read(resolved)) {
    const { source, target, condition } = example
    const texts = [source, target].filter((text) => text !== undefined)
    if (texts.some((text) => text.length < minLength || text.length > maxLength || (ascii && !isAscii(text)))) continue
    if (unique) {
      const key = JSON.stringify([...texts, condition])
      if (seen.has(key)) continue
      seen.add(key)
    }
    yield example
    if (++count >= limit) return
  }
}

/** Examples from any iterable of texts or of examples. */
export async function* fromIterable(
  items: Iterable<string | Example> | AsyncIterable<string | Example>,
): AsyncGenerator<Example> {
  let index = 0
  for await (const item of items) {
    const example: unknown = typeof item === 'string' ? { target: item } : item
    if (!isExample(example)) {
      throw new MergeError(
        'ERR_INPUT',
        `example ${index}: expected a text or { source?, target, condition? }, received ${typeof item}`,
      )
    }
    yield example
    index++
  }
}

/** Splits by a shuffle of the targets; both parts keep the order of the data. No target is in both. */
export function split(
  examples: readonly Example[],
  { heldOut, seed }: SplitOptions,
): { train: Example[]; heldOut: Example[] } {
  if (!Number.isInteger(heldOut) || heldOut < 0 || heldOut >= examples.length) {
    throw new MergeError(
      'ERR_INPUT',
      `heldOut: expected 0 to ${examples.length - 1} of ${examples.length} examples, received ${heldOut}`,
    )
  }
  const repeats = new Map<string, number>()
  for (const { target } of examples) repeats.set(target, (repeats.get(target) ?? 0) + 1)
  const chosen = new Set<string>()
  let count = 0
  for (const target of randomFrom(seed, 0, 0, 'split').shuffle([...repeats.keys()])) {
    if (count >= heldOut) break
    chosen.add(target)
    count += repeats.get(target) ?? 0
  }
  return {
    train: examples.filter(({ target }) => !chosen.has(target)),
    heldOut: examples.filter(({ target }) => chosen.has(target)),
  }
}

async function* read(spec: ResolvedDatasetSpec): AsyncGenerator<Example> {
  const { unit, sourceColumn, targetColumn, conditionColumn } = spec
  const columns = { sourceColumn, targetColumn, conditionColumn }
  if (spec.package !== undefined) {
    for (const file of await packageFiles(spec.package)) {
      yield* extname(file) === '.json' ? jsonTextFile(file, { unit }) : textFile(file, { unit })
    }
    return
  }
  for (const file of spec.files ?? [spec.file ?? '']) {
    const format = spec.format ?? formats.get(extname(file).toLowerCase()) ?? 'text'
    switch (format) {
      case 'text':
        yield* textFile(file, { unit })
        break
      case 'jsonl':
        yield* jsonlFile(file, columns)
        break
      case 'parquet':
        yield* parquetFile(file, columns)
        break
      default:
        format satisfies never
    }
  }
}

const formats = new Map<string, 'jsonl' | 'parquet'>([
  ['.jsonl', 'jsonl'],
  ['.ndjson', 'jsonl'],
  ['.parquet', 'parquet'],
])

/** The texts of an installed package: data/*.txt, or where there are none data/*.json. */
async function packageFiles(name: string): Promise<string[]> {
  const folder = packageFolder(name)
  if (folder === undefined) {
    throw new MergeError(
      'ERR_INPUT',
      `data.package: expected an installed package, received ${name}; try: npm install ${name}`,
    )
  }
  const data = join(folder, 'data')
  const names = (await readdir(data).catch((): string[] => [])).sort()
  const texts = names.filter((file) => extname(file) === '.txt')
  const files = texts.length > 0 ? texts : names.filter((file) => extname(file) === '.json')
  if (files.length === 0) {
    throw new MergeError(
      'ERR_INPUT',
      `data.package: expected texts in data/*.txt or data/*.json of ${name}, received none`,
    )
  }
  return files.map((file) => join(data, file))
}

/** Where Node would find the package, from the working folder and from here. */
function packageFolder(name: string): string | undefined {
  for (const start of [process.cwd(), dirname(fileURLToPath(import.meta.url))]) {
    for (let folder = start; ; folder = dirname(folder)) {
      const candidate = join(folder, 'node_modules', name)
      if (existsSync(join(candidate, 'package.json'))) return candidate
      if (dirname(folder) === folder) break
    }
  }
  return undefined
}

function isExample(value: unknown): value is Example {
  if (typeof value !== 'object' || value === null || !('target' in value) || typeof value.target !== 'string')
    return false
  const isTextOrNone = (text: unknown): boolean => text === undefined || typeof text === 'string'
  return (
    (!('source' in value) || isTextOrNone(value.source)) && (!('condition' in value) || isTextOrNone(value.condition))
  )
}

const isAscii = (text: string): boolean => !/[\u0080-\uffff]/.test(text)

const nameOf = (spec: DatasetSpec): string => spec.file ?? spec.package ?? spec.files?.join(', ') ?? 'nothing'
