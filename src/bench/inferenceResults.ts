// inferenceResults: what a group of contenders that took turns comes to.

import { type BenchResult, type Dtype, resultOf } from './benchReport.js'
import type { BenchSize } from './benchSize.js'
import { middleOf, pairedRatio, rounded } from './quantiles.js'
import type { Contender, Taken } from './turns.js'

/** A contender with what its result says beside its times. */
export interface InferenceContender extends Contender {
  readonly family: string
  readonly case: string
  readonly peer: string | null
  /** Where the others are compared with it: the name of the figure that says how many times its speed they have. */
  readonly measure?: string
}

/** MiB that a model holds, all kinds of its bytes together. */
export function heldMb(memory: Readonly<Record<string, number>>): number {
  // What is kept for the next tensors is no model's, and part of what a call takes.
  const held = Object.entries(memory).filter(([name]) => name !== 'pooledBytes')
  return held.reduce((sum, [, bytes]) => sum + bytes, 0) / 2 ** 20
}

/** What stands beside the times of a whole group. */
export interface GroupFacts {
  readonly size: BenchSize
  readonly dtype: Dtype
  readonly batch: number
  readonly threads: number
}

/** The results of a group. */
export function resultsOf(taken: readonly Taken<InferenceContender>[], facts: GroupFacts): BenchResult[] {
  const { size, dtype, batch, threads } = facts
  return taken.map(({ contender, work, times, peakMemoryMb, shares }) => {
    const { median, low, high, samples } = middleOf(times)
    const ratios = Object.fromEntries(
      taken.flatMap((other): [string, number][] => {
        if (other.contender.measure === undefined) return []
        // The other may have written another number of tokens.
        const speed = (work.tokens / other.work.tokens) * pairedRatio(other.times, times).median
        return [[other.contender.measure, rounded(speed)]]
      }),
    )
    const figures = { ...ratios, ...shares }
    return resultOf({
      suite: 'inference',
      case: contender.case,
      family: contender.family,
      size: size.name,
      batch,
      dtype,
      threads,
      tokensPerSecond: rounded((1000 * work.tokens) / median),
      latencyMs: rounded(median),
      rounds: work.rounds ?? null,
      passes: work.passes ?? null,
      peakMemoryMb: peakMemoryMb === null ? null : Math.round(peakMemoryMb),
      spread: { low: rounded(low), high: rounded(high), samples },
      peer: contender.peer,
      ...(Object.keys(figures).length === 0 ? {} : { figures }),
    })
  })
}
