// The golden models of test/golden/merge: weights and what a PyTorch twin says about them (made by make.py there).
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { loadNative, type NativeSession } from '../../src/native.js'
import { packRows } from '../../src/rows.js'

const rows = z.array(z.array(z.int()).transform((row) => Int32Array.from(row)))
const numbers = z.array(z.number())
const record = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()]))

const golden = z.strictObject({
  config: record,
  rows,
  inspect: z.record(z.string(), numbers),
  round: z.record(z.string(), numbers),
  step: record,
  drafts: rows,
  targets: rows,
  reports: z.array(z.record(z.string(), z.number())),
})

/** One golden model; see make.py for what its parts are. */
export type Golden = z.output<typeof golden>

/** The shapes that make.py knows. */
export const goldenNames = ['usual', 'other', 'plain', 'relative', 'absolute'] as const
export type GoldenName = (typeof goldenNames)[number]

/** Where a file of a golden model is. */
export function goldenPath(name: GoldenName, ending: 'json' | 'safetensors'): string {
  return fileURLToPath(new URL(`../golden/merge/${name}.${ending}`, import.meta.url))
}

/** Reads what the twin says. */
export async function readGolden(name: GoldenName): Promise<Golden> {
  return golden.parse(JSON.parse(await readFile(goldenPath(name, 'json'), 'utf8')))
}

/** Opens the engine with a golden model's weights. The caller disposes it. */
export async function openGolden(name: GoldenName): Promise<{ session: NativeSession; golden: Golden }> {
  const native = await loadNative()
  await native.start(2)
  const read = await readGolden(name)
  const session = await native.open(read.config)
  await session.load(goldenPath(name, 'safetensors'), 'model')
  return { session, golden: read }
}

/** A number of a configuration record. */
export function numberOf(fields: Readonly<Record<string, unknown>>, name: string): number {
  return z.number().parse(fields[name])
}

/** The options of one round that deletes where the deleter says so and takes the likeliest tokens. */
export function greedyRound(maxLength: number) {
  const base = {
    mode: 'edit',
    editThreshold: 0.5,
    keepThreshold: 0.5,
    fillThreshold: 0,
    fillShare: 0,
    generation: -1,
    countSource: 'counts',
    lengthRatio: 1,
    targetLength: maxLength,
    temperature: 0,
    topK: 0,
    topP: 1,
    seed: 1,
    round: 0,
    shift: -1,
  }
  return { ...base, maxLength }
}

/** Refines rows for one such round; nothing is locked, every gap is open. */
export function refineOnce(session: NativeSession, given: readonly Int32Array[], maxLength: number) {
  const packed = packRows(given)
  const open = new Uint8Array(packed.tokens.length + given.length).fill(1)
  return session.refineRound(greedyRound(maxLength), packed, new Uint8Array(packed.tokens.length), open)
}

/** The largest difference between two lists, scaled down where values are larger than 1; infinity for other lengths. */
export function worstError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] ?? Number.NaN
    const error = Math.abs((actual[i] ?? Number.NaN) - wanted) / Math.max(1, Math.abs(wanted))
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error
  }
  return worst
}
