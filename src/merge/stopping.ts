// The stop rule of one row: pure functions of what the last round did (specification, section 7).

import type { RuleReason } from '../editor.js'
import { editDistance, sameTokens } from './distance.js'

/** How the confidences of one round's filled tokens become one number. */
export type ConfidenceMeasure = 'mean' | 'min' | 'geometric'

export interface StopRule {
  /** Most rounds a row may take. */
  readonly maxRounds: number
  /** A row stops when its confidence is above this (0..1). */
  readonly confidenceThreshold: number
  readonly confidence: ConfidenceMeasure
  /** A row stops when its edit distance to the round before is below this (tokens); 1: nothing changed. */
  readonly epsilon: number
}

export interface RoundOutcome {
  /** Rounds done, this one included. */
  readonly rounds: number
  /** The state after this round. */
  readonly current: Int32Array
  /** Every earlier state, the draft first; the last one is what this round started from. */
  readonly earlier: readonly Int32Array[]
  /** Confidence of each token that was filled in this round. */
  readonly filled: ArrayLike<number>
}

/**
 * The reason to stop after a round, or `undefined` to go on.
 * Asked in the order of the specification: confident, converged, cycle, exhausted.
 */
export function stopReason(outcome: RoundOutcome, rule: StopRule): RuleReason | undefined {
  const { current, earlier, filled, rounds } = outcome
  const previous = earlier[earlier.length - 1]
  if (confidenceOf(filled, rule.confidence) > rule.confidenceThreshold) return 'confident'
  if (previous !== undefined && editDistance(previous, current, rule.epsilon) < rule.epsilon) return 'converged'
  if (earlier.some((state) => sameTokens(state, current))) return 'cycle'
  return rounds >= rule.maxRounds ? 'exhausted' : undefined
}

/** One number for the probabilities of a round's filled tokens (0..1); 0 where nothing was filled. */
export function confidenceOf(probabilities: ArrayLike<number>, measure: ConfidenceMeasure): number {
  const count = probabilities.length
  if (count === 0) return 0
  let sum = 0
  let least = 1
  let logarithms = 0
  for (let index = 0; index < count; index++) {
    const probability = probabilities[index] ?? 0
    sum += probability
    least = Math.min(least, probability)
    logarithms += Math.log(probability)
  }
  switch (measure) {
    case 'mean':
      return sum / count
    case 'min':
      return least
    case 'geometric':
      return Math.exp(logarithms / count)
    default:
      return measure satisfies never
  }
}
