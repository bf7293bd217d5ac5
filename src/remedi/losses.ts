// The losses of RemeDi as plain float64 formulas: the specification that the engine's terms are tested against
// (arXiv 2509.23653, section 3.2). N positions of noisy blocks, V vocabulary.

import { fate } from './noise.js'

/** What a noisy copy and the model's word on it are. */
export interface NoisyPositions {
  /** The token head's logits. [N x V] */
  readonly logits: ArrayLike<number>
  /** The tokens of the clean answer, x0. [N] */
  readonly clean: ArrayLike<number>
  /** The tokens of the noisy copy. [N] */
  readonly noisy: ArrayLike<number>
  /** The mask token. */
  readonly mask: number
  readonly vocabulary: number
  readonly blockLength: number
}

/** What became of position `at`, read off the two copies. */
export function fateOf({ clean, noisy, mask }: NoisyPositions, at: number): number {
  if (noisy[at] === mask) return fate.masked
  return noisy[at] === clean[at] ? fate.visible : fate.wrong
}

/**
 * The masked-diffusion loss: sum over masked positions of -log p(x0) / p_mask, over all N positions.
 *
 * Decision: p_mask is the share of the block that is masked, not the level t it was drawn with. With t ~ U(0, 1) the
 * number of masks is uniform, so both are unbiased; this one has less variance and needs no t.
 */
export function tokenLoss(positions: NoisyPositions): number {
  const { clean, blockLength, logits, vocabulary } = positions
  let sum = 0
  for (let at = 0; at < clean.length; at++) {
    if (fateOf(positions, at) !== fate.masked) continue
    sum -= (logProbability(logits, at, vocabulary, clean[at] ?? 0) * blockLength) / masksAround(positions, at)
  }
  return clean.length === 0 ? 0 : sum / clean.length
}

/**
 * What the confidence of each position should be: 1 of a clean visible token, 0 of a wrong one, p(x0) of a masked one, a
 * constant without gradient. Smoothing moves all labels towards 1/2.
 */
export function confidenceLabels(positions: NoisyPositions, smoothing: number): Float64Array {
  const { clean, logits, vocabulary } = positions
  return Float64Array.from({ length: clean.length }, (_, at) => {
    const what = fateOf(positions, at)
    const label =
      what === fate.masked
        ? Math.exp(logProbability(logits, at, vocabulary, clean[at] ?? 0))
        : what === fate.visible
          ? 1
          : 0
    return label * (1 - smoothing) + smoothing / 2
  })
}

/** Mean over positions of the binary cross-entropy of sigmoid(h) against its label. */
export function confidenceLoss(confidence: ArrayLike<number>, labels: ArrayLike<number>): number {
  let sum = 0
  for (let at = 0; at < labels.length; at++) {
    const [h = 0, label = 0] = [confidence[at], labels[at]]
    sum += softplus(h) - label * h
  }
  return labels.length === 0 ? 0 : sum / labels.length
}

/** log(1 + e^x), whatever x. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
}

/** log of the sum of e^x; -Infinity of none. */
export function logSumExp(values: readonly number[]): number {
  const most = values.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY)
  if (most === Number.NEGATIVE_INFINITY) return most
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0))
}

/** log softmax of row `at` at one token. */
export function logProbability(logits: ArrayLike<number>, at: number, vocabulary: number, token: number): number {
  const row = Array.from({ length: vocabulary }, (_, id) => logits[at * vocabulary + id] ?? 0)
  return (row[token] ?? 0) - logSumExp(row)
}

// Masks in the block of a position.
function masksAround(positions: NoisyPositions, at: number): number {
  const start = at - (at % positions.blockLength)
  let masks = 0
  for (let index = start; index < start + positions.blockLength; index++) {
    if (fateOf(positions, index) === fate.masked) masks++
  }
  return masks
}
