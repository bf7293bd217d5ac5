// Policy: the probability of a denoising step and the loss of Remask-RL, in float64 (arXiv 2509.23653, section 3.3;
// LLaDOU, arXiv 2505.10446). The engine's terms are tested against these.

import { logSumExp, softplus } from './losses.js'

/**
 * log of the probability that Plackett-Luce picks these positions in this order: each pick is a softmax over the scores
 * of what is not picked yet. In log space, so that no score is too large.
 */
export function plackettLuce(scores: readonly number[], order: readonly number[]): number {
  const picked = new Set(order)
  // log of the mass of what is never picked, then of what is still to pick, from the last pick back to the first.
  let rest = logSumExp(scores.filter((_, position) => !picked.has(position)))
  let total = 0
  for (const position of [...order].reverse()) {
    const score = scores[position] ?? 0
    rest = logSumExp([rest, score])
    total += score - rest
  }
  return total
}

/** log of the probability that independent coins of sigmoid(score) pick exactly these positions. */
export function bernoulliSet(scores: readonly number[], picked: ReadonlySet<number>): number {
  return scores.reduce((sum, score, position) => sum - softplus(picked.has(position) ? -score : score), 0)
}

/** An ordered sample without replacement: the k highest scores after Gumbel noise. `uniform` gives numbers in (0, 1). */
export function samplePlackettLuce(scores: readonly number[], k: number, uniform: () => number): number[] {
  const keys = scores.map((score, position) => ({ position, key: score - Math.log(-Math.log(uniform())) }))
  keys.sort((a, b) => b.key - a.key || a.position - b.position)
  return keys.slice(0, k).map(({ position }) => position)
}

/** The loss of one clipped ratio: -min(ratio A, clip(ratio, 1 - eps, 1 + eps) A). */
export function clippedLoss(
  logProbability: number,
  oldLogProbability: number,
  advantage: number,
  clip: number,
): number {
  const ratio = Math.exp(logProbability - oldLogProbability)
  return -Math.min(ratio * advantage, Math.min(Math.max(ratio, 1 - clip), 1 + clip) * advantage)
}

/**
 * The advantage of each rollout within its group: (r - mean) / (std + 1e-4), std over the group. A group without
 * variance says nothing: its advantages are `undefined`, and it takes no part in the step.
 */
export function advantages(rewards: readonly number[], groupSize: number): (number | undefined)[] {
  return rewards.map((reward, index) => {
    const start = index - (index % groupSize)
    const group = rewards.slice(start, start + groupSize)
    const mean = group.reduce((sum, value) => sum + value, 0) / group.length
    const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / group.length
    return variance > leastVariance ? (reward - mean) / (Math.sqrt(variance) + 1e-4) : undefined
  })
}

// Equal rewards differ by rounding alone.
const leastVariance = 1e-12
