// The ops suite: each op of the engine against its slow reference, and the edit oracle against a plain dynamic programme.

import { MergeError } from '../errors.js'
import { loadNative, type NativeAddon } from '../native.js'
import { packRows } from '../rows.js'
import { type BenchResult, resultOf } from './benchReport.js'
import { type BenchSize, benchSize } from './benchSize.js'
import { type TimedOp, timedOps, timeOp } from './opTiming.js'
import { alignmentPairs, matched, plainMatches } from './plainAlignment.js'
import { middleOf, pairedRatio, rounded } from './quantiles.js'
import type { BenchSettings } from './suite.js'

/** Runs the suite, with the largest batch that was asked for. */
export async function* opsSuite(settings: BenchSettings): AsyncGenerator<BenchResult, void, undefined> {
  const { sizes, batches, threads, say, signal } = settings
  const native = await loadNative()
  await native.start(threads)
  for (const name of sizes) {
    const size = benchSize(name, settings.tokens)
    const rows = Math.max(...batches)
    say(`ops: ${size.name}, ${rows} rows of ${size.length} tokens`)
    for (const [op, hasBackward] of timedOps) {
      for (const backward of hasBackward ? [false, true] : [false]) {
        signal.throwIfAborted()
        yield* await opResults(native, settings, { size, op, rows, backward })
      }
    }
    yield* await alignmentResults(native, settings, size)
  }
}

interface OpCase {
  readonly size: BenchSize
  readonly op: TimedOp
  readonly rows: number
  readonly backward: boolean
}

async function opResults(
  native: NativeAddon,
  { threads, samples }: BenchSettings,
  { size, op, rows, backward }: OpCase,
): Promise<BenchResult[]> {
  const { length, width, heads, feedForward, layers, vocabulary } = size
  const dtype = 'float32'
  const shape = { rows, length, width, heads, feedForward, layers, vocabulary, dtype } as const
  const { fast, reference } = await timeOp(native, { op, ...shape, backward, pairs: 3 * samples })
  const name = `${length} tokens a row, ${backward ? 'forward and backward' : 'forward'}`
  // With a cache there is one new token a row.
  const tokens = op === 'cachedAttention' ? rows : rows * length
  const facts = { family: op, name, size, batch: rows, threads, tokens }
  return pairResults(facts, fast, reference)
}

interface PairFacts {
  readonly family: string
  readonly name: string
  readonly size: BenchSize
  readonly batch: number
  readonly threads: number
  readonly tokens: number
}

// The reference says nothing of its own: it is the measure of the fast one.
function pairResults(facts: PairFacts, fast: readonly number[], reference: readonly number[]): BenchResult[] {
  const { median, low, high, samples } = middleOf(fast)
  const ratio = pairedRatio(reference, fast)
  return [
    resultOf({
      suite: 'ops',
      case: facts.name,
      family: facts.family,
      size: facts.size.name,
      batch: facts.batch,
      dtype: 'float32',
      threads: facts.threads,
      tokensPerSecond: rounded((1000 * facts.tokens) / median),
      latencyMs: rounded(median),
      spread: { low: rounded(low), high: rounded(high), samples },
      figures: {
        referenceMs: rounded(middleOf(reference).median),
        timesReference: rounded(ratio.median),
        timesReferenceLow: rounded(ratio.low),
        timesReferenceHigh: rounded(ratio.high),
      },
    }),
  ]
}

async function alignmentResults(
  native: NativeAddon,
  { threads, samples, batches, signal }: BenchSettings,
  size: BenchSize,
): Promise<BenchResult[]> {
  const rows = Math.max(...batches)
  const results: BenchResult[] = []
  for (const [name, symbols, changed] of [
    ['a fifth changed, 8,000 symbols', 8000, 0.2],
    ['a fifth changed, 60 symbols', 60, 0.2],
    ['random, 4 symbols', 4, 1],
  ] as const) {
    const pairs = alignmentPairs({ rows, length: size.length, symbols, changed })
    const [x, y] = [packRows(pairs.map((pair) => pair.x)), packRows(pairs.map((pair) => pair.y))]
    const arrays = { x: x.tokens, xOffsets: x.offsets, y: y.tokens, yOffsets: y.offsets }
    const [fast, plain]: [number[], number[]] = [[], []]
    for (let turn = -1; turn < samples; turn++) {
      signal.throwIfAborted()
      const start = performance.now()
      const { matches = new Int32Array(0) } = await native.runOp('align', {}, arrays)
      const between = performance.now()
      const counts = pairs.map((pair) => matched(plainMatches(pair.x, pair.y)))
      const end = performance.now()
      // Ties may fall otherwise, but both find a longest common subsequence.
      if (matched(matches) !== counts.reduce((sum, count) => sum + count, 0)) {
        throw new MergeError('ERR_INTERNAL', `oracle, ${name}: expected as many matches as the plain one finds`)
      }
      if (turn < 0) continue
      fast.push(between - start)
      plain.push(end - between)
    }
    const facts = { family: 'edit oracle', name: `${size.length} tokens a row, ${name}`, size, batch: rows, threads }
    results.push(...pairResults({ ...facts, tokens: rows * size.length }, fast, plain))
  }
  return results
}
