// Run record: what a run's folder keeps of its beginning, config.json and data.json, so that a later run can go on with it.

import { createHash, randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import { shown } from '../parseConfig.js'
import type { Example } from '../text/dataset.js'
import { freeOfRecipe } from '../training/resume.js'
import { type AnyRunConfig, runSchema } from '../training/runConfig.js'

const configName = 'config.json'
const dataName = 'data.json'

const printSchema = z.strictObject({ examples: z.int().min(0), sha256: z.string() })

/** By what data are known again: how many examples, and the hash of all of them in order. */
export type DataPrint = Readonly<z.output<typeof printSchema>>

/** The print of a data set. */
export function dataPrint(examples: readonly Example[]): DataPrint {
  const hash = createHash('sha256')
  for (const { source, target } of examples) hash.update(JSON.stringify([source, target]))
  return { examples: examples.length, sha256: hash.digest('hex') }
}

/** Writes config.json and data.json; each exists whole or not at all. */
export async function writeRecord(config: AnyRunConfig, print: DataPrint): Promise<void> {
  await writeWhole(join(config.folder, configName), jsonText(config))
  await writeWhole(join(config.folder, dataName), jsonText(print))
}

/** Refuses a configuration that is not the run's own, `ERR_CONFIG` names the key. */
export async function checkConfig(config: AnyRunConfig): Promise<void> {
  const path = join(config.folder, configName)
  const saved = runSchema(config).safeParse(await readValue(path))
  if (!saved.success)
    throw new MergeError('ERR_CONFIG', `${path}: expected the configuration of the run, received none that can be read`)
  const difference = firstDifference(plain(saved.data), plain(config), [])
  if (difference === undefined) return
  const { key, before, now } = difference
  throw new MergeError(
    'ERR_CONFIG',
    `${key}: expected ${shown(before)}, with which the run in ${config.folder} began, received ${shown(now)}; of a run ` +
      `that goes on, only ${freeOfRecipe.join(', ')} may change`,
    { details: { key } },
  )
}

/** Refuses data that are not the run's own. */
export async function checkData(folder: string, print: DataPrint): Promise<void> {
  const path = join(folder, dataName)
  const saved = printSchema.safeParse(await readValue(path))
  if (!saved.success)
    throw new MergeError('ERR_CONFIG', `${path}: expected the print of the run's data, received none that can be read`)
  if (saved.data.sha256 === print.sha256) return
  throw new MergeError(
    'ERR_CONFIG',
    `data: expected the ${saved.data.examples} examples with which the run in ${folder} began, received ` +
      `${print.examples}, other or changed ones`,
  )
}

/** Whether a run came to its end here. */
export async function isFinished(folder: string): Promise<boolean> {
  return stat(join(folder, 'model')).then(
    () => true,
    () => false,
  )
}

/** Removes what an earlier run left in its folder: record, metrics, events, report, checkpoints, model, nothing else. */
export async function clearRun(folder: string): Promise<void> {
  for (const name of ['metrics.jsonl', 'tensorboard', 'report.html', 'checkpoints', 'model', configName, dataName]) {
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

// Where it runs is the engine's to judge: `Trainer.resume` compares device, dtype and precision with the checkpoint's.
const free = new Set(['folder', 'model.device', 'model.dtype', 'model.matmulPrecision'])
for (const key of freeOfRecipe) free.add(`recipe.${key}`)

interface Difference {
  readonly key: string
  readonly before: unknown
  readonly now: unknown
}

function firstDifference(before: unknown, now: unknown, path: readonly string[]): Difference | undefined {
  const key = path.join('.')
  if (free.has(key)) return undefined
  if (!isRecord(before) || !isRecord(now))
    return JSON.stringify(before) === JSON.stringify(now) ? undefined : { key, before, now }
  const names = new Set([...Object.keys(before), ...Object.keys(now)])
  for (const name of names) {
    const difference = firstDifference(before[name], now[name], [...path, name])
    if (difference !== undefined) return difference
  }
  return undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function plain(config: AnyRunConfig): unknown {
  return JSON.parse(JSON.stringify(config))
}

async function readValue(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** Writes a file that exists whole or not at all. */
export async function writeWhole(path: string, content: string): Promise<void> {
  const temporary = `${path}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

/** A value as the JSON files of a run's folder hold it. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`
