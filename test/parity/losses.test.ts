// The engine's five loss terms against their TypeScript references, fed with the engine's own logits.
//
// Targets hold no token twice, so the oracle has no choice: it keeps the draft's tokens that are in the target. `inspect`
// sees a row as it is; so counts are compared on drafts that lose nothing, and fills on rows with the masks put in.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  compressionLoss,
  gateLoss,
  type LossTerms,
  lengthLoss,
  pointerLoss,
  reconLoss,
  totalLoss,
} from '../../src/merge/losses.js'
import type { NativeRecord, NativeSession } from '../../src/native.js'
import { type Random, randomFrom } from '../../src/random.js'
import { packRows } from '../../src/rows.js'
import { type Golden, numberOf, openGolden, worstError } from './golden.js'

const relative = 1e-5
const batches = 12

interface Batch {
  readonly drafts: readonly Int32Array[]
  readonly targets: readonly Int32Array[]
}

describe.each(['usual', 'plain'] as const)('losses of the %s golden model', (name) => {
  let session: NativeSession
  let golden: Golden
  let worst = 0

  beforeAll(async () => {
    const opened = await openGolden(name)
    session = opened.session
    golden = opened.golden
  })
  afterAll(async () => {
    console.log(`${name}: worst relative error ${worst.toExponential(1)}`)
    await session.dispose()
  })

  const setting = (field: string) => numberOf(golden.step, field)
  const report = (batch: Batch, changed: NativeRecord = {}) =>
    session.evaluate({ ...golden.step, step: 0, ...changed }, packRows(batch.drafts), packRows(batch.targets))

  const expectTerm = (actual: number | undefined, expected: number, what: string) => {
    const error = worstError([(actual ?? Number.NaN) / expected], [1])
    worst = Math.max(worst, error)
    expect(error, `${what}: expected ${expected}, received ${actual}`).toBeLessThanOrEqual(relative)
  }

  // What E(X) says about drafts, for the terms that judge deletion.
  const deletionTerms = async ({ drafts, targets }: Batch) => {
    const { keep, gate } = await session.inspect(packRows(drafts), ['keep', 'gate'])
    const keepLogits = withoutSentinels(keep?.values ?? new Float32Array(), drafts)
    const keepTargets = drafts.flatMap((row, r) => [...row].map((token) => (targets[r]?.includes(token) ? 1 : 0)))
    const { offsets } = packRows(drafts)
    const gateLogits = gate?.values ?? new Float32Array()
    const gateTargets = drafts.map((row, r) => (row.every((token) => targets[r]?.includes(token)) ? 0 : 1))
    const rows = { keepLogits, keepTargets, offsets }
    return {
      compression: compressionLoss({
        ...rows,
        gate: [...gateLogits].map((logit) => 1 / (1 + Math.exp(-logit))),
        keepReduction: setting('keepReduction'),
        keepKl: setting('keepKl'),
      }),
      gate: gateLoss({ gateLogits, gateTargets, gateCost: setting('gateCost') }),
      length: lengthLoss(rows),
    }
  }

  // Counts and fills of drafts that are subsequences of their targets.
  const insertionTerms = async ({ drafts, targets }: Batch, labelSmoothing: number) => {
    const most = numberOf(golden.config, 'maxInsert')
    const missing = drafts.flatMap((row, r) => gapsOf(row, targets[r] ?? new Int32Array(), most))
    const gaps = await session.inspect(packRows(drafts), ['score', 'counts'])
    const offsets = [0]
    for (const row of drafts) offsets.push((offsets.at(-1) ?? 0) + row.length + 1)
    const masked = maskedRows(drafts, missing, numberOf(golden.config, 'mask'))
    const vocabulary = numberOf(golden.config, 'vocabulary')
    const { logits } = await session.inspect(packRows(masked.rows), ['logits'])
    return {
      pointer: pointerLoss({
        countLogits: gaps.counts?.values ?? [],
        counts: missing.map((tokens) => tokens.length),
        scores: gaps.score?.values ?? [],
        offsets,
        countSmoothing: setting('countSmoothing'),
        scoreEntropy: setting('scoreEntropy'),
      }),
      recon: reconLoss({
        logits: masked.positions.flatMap((at) => [
          ...(logits?.values.subarray(at * vocabulary, (at + 1) * vocabulary) ?? []),
        ]),
        targets: missing.flat(),
        vocabulary,
        labelSmoothing,
      }),
    }
  }

  it('compression, gate and length, with tokens to delete', async () => {
    for (let seed = 0; seed < batches; seed++) {
      const batch = randomBatch(seed, golden, { foreign: 4 })
      const [actual, expected] = [await report(batch), await deletionTerms(batch)]
      for (const term of ['compression', 'gate', 'length'] as const) expectTerm(actual[term], expected[term], term)
    }
  })

  it('pointer and recon, with tokens to insert; and the weighted total', async () => {
    for (let seed = 0; seed < batches; seed++) {
      const batch = randomBatch(seed, golden, { foreign: 0 })
      const labelSmoothing = seed % 2 === 0 ? 0 : 0.1
      const actual = await report(batch, { labelSmoothing })
      const expected: LossTerms = {
        ...(await deletionTerms(batch)),
        ...(await insertionTerms(batch, labelSmoothing)),
      }
      for (const term of ['pointer', 'recon', 'compression', 'gate', 'length'] as const) {
        expectTerm(actual[term], expected[term], term)
      }
      const weights = {
        recon: setting('weightRecon'),
        compression: setting('weightCompression'),
        pointer: setting('weightPointer'),
        gate: setting('weightGate'),
        length: setting('weightLength'),
      }
      expectTerm(actual.total, totalLoss(expected, weights), 'total')
    }
  })

  it('micro-batches weigh as their rows', async () => {
    const batch = randomBatch(3, golden, { foreign: 2 })
    const parts = [batch.drafts.length >> 1, batch.drafts.length]
    const whole = await report(batch, { accumulation: 2 })
    let expected = 0
    let begin = 0
    for (const end of parts) {
      const part = { drafts: batch.drafts.slice(begin, end), targets: batch.targets.slice(begin, end) }
      expected += (((await report(part)).total ?? Number.NaN) * (end - begin)) / batch.drafts.length
      begin = end
    }
    expectTerm(whole.total, expected, 'total')
  })

  it('no tokens, no masks, no fault: the terms without members are 0', async () => {
    const empty = { drafts: [new Int32Array()], targets: [new Int32Array()] }
    const nothing = await report(empty)
    expect([nothing.recon, nothing.compression, nothing.length]).toEqual([0, 0, 0])
    expect(nothing.total).toBeGreaterThan(0)
  })

  // Last, since it changes the weights.
  it('a training step reports what an evaluation before it says', async () => {
    const batch = randomBatch(1, golden, { foreign: 3 })
    const before = await report(batch)
    const step = { ...golden.step, step: 0 }
    const trained = await session.trainStep(step, packRows(batch.drafts), packRows(batch.targets))
    for (const term of ['total', 'recon', 'compression', 'pointer', 'gate', 'length']) {
      expect(trained[term], term).toBe(before[term])
    }
    expect((await report(batch)).total).toBeLessThan(before.total ?? 0)
  })
})

// Seven rows: one that is finished, one whose draft is empty, and others; `foreign` tokens of no target in each.
function randomBatch(seed: number, golden: Golden, { foreign }: { foreign: number }): Batch {
  const words = Array.from({ length: numberOf(golden.config, 'vocabulary') - 5 }, (_, i) => i + 5)
  const middle = words.length >> 1
  const rows = Array.from({ length: 7 }, (_, row) => {
    const random = randomFrom(seed, 0, row, 'losses.test')
    const target = random.shuffle(words.slice(0, middle)).slice(0, 1 + random.integer(9))
    const share = row === 0 ? 1 : row === 1 ? 0 : random.next()
    const draft = target.filter(() => random.next() < share)
    if (row > 1) insertForeign(draft, random, words.slice(middle), foreign)
    return { draft: Int32Array.from(draft), target: Int32Array.from(target) }
  })
  return { drafts: rows.map(({ draft }) => draft), targets: rows.map(({ target }) => target) }
}

function insertForeign(draft: number[], random: Random, words: readonly number[], count: number): void {
  for (let i = 0; i < count; i++) draft.splice(random.integer(draft.length + 1), 0, random.pick(words))
}

// The target's tokens that each gap of the draft lacks, at most `most` of them.
function gapsOf(draft: Int32Array, target: Int32Array, most: number): number[][] {
  const ends = [...[...draft].map((token) => target.indexOf(token)), target.length]
  return ends.map((end, gap) => [...target.subarray(gap === 0 ? 0 : (ends[gap - 1] ?? 0) + 1, end)].slice(0, most))
}

// The drafts with their masks, and the packed position of each mask (one sentinel before and one after each row).
function maskedRows(drafts: readonly Int32Array[], missing: readonly number[][], mask: number) {
  const rows: Int32Array[] = []
  const positions: number[] = []
  let gap = 0
  let start = 0
  for (const draft of drafts) {
    const row: number[] = []
    for (let i = 0; i <= draft.length; i++, gap++) {
      for (const _ of missing[gap] ?? []) positions.push(start + row.push(mask))
      if (i < draft.length) row.push(draft[i] ?? 0)
    }
    start += row.length + 2
    rows.push(Int32Array.from(row))
  }
  return { rows, positions }
}

function withoutSentinels(values: Float32Array, rows: readonly Int32Array[]): number[] {
  const inner: number[] = []
  let start = 0
  for (const row of rows) {
    inner.push(...values.subarray(start + 1, start + 1 + row.length))
    start += row.length + 2
  }
  return inner
}
