// Calibration: whether the confidence of filled tokens tells how often they are right: ECE, Brier score, AUROC.

import { MergeError } from '../errors.js'
import { type Figure, figureOf } from './figure.js'
import { pace } from './pace.js'
import { pacedSort } from './pacedSort.js'

/** A token that was filled in. */
export interface JudgedFill {
  /** Its probability when it was filled in (0..1). */
  readonly confidence: number
  readonly isRight: boolean
}

/** Fills of like confidence. */
export interface CalibrationBin {
  /** Confidences `[from, to)`; the last bin takes in 1. */
  readonly from: number
  readonly to: number
  /** n: fills of this bin. */
  readonly confidence: Figure
  /** Share of right ones. */
  readonly accuracy: Figure
}

/** How far confidences can be trusted. */
export interface Calibration {
  /** Expected calibration error: mean distance of confidence and accuracy over {@link calibrationBins} bins; n: fills. */
  readonly ece: Figure
  /** Mean of (confidence - 1 where right, 0 where wrong) squared; n: fills. */
  readonly brier: Figure
  /**
   * Probability that a wrong fill has less confidence than a right one, ties half (Mann-Whitney): how well low confidence
   * finds "this filled token is wrong"; .5 is chance. n: fills; `null` where all are right or all are wrong.
   */
  readonly auroc: Figure
  /** Wrong fills. */
  readonly wrong: number
  readonly bins: readonly CalibrationBin[]
}

/** Number of equal-width bins of the calibration error. */
export const calibrationBins = 15

/** Measures fills, many or few; it gives way to the event loop every few milliseconds. */
export async function calibrationOf(fills: readonly JudgedFill[]): Promise<Calibration> {
  const breathe = pace()
  const count = fills.length
  const sizes = new Float64Array(calibrationBins)
  const confidences = new Float64Array(calibrationBins)
  const hits = new Float64Array(calibrationBins)
  const right = new Float64Array(count)
  const wrong = new Float64Array(count)
  let rights = 0
  let wrongs = 0
  let squares = 0
  for (const { confidence, isRight } of fills) {
    await breathe()
    if (!(confidence >= 0 && confidence <= 1)) {
      throw new MergeError('ERR_INPUT', `confidence of fill ${rights + wrongs}: expected 0..1, received ${confidence}`)
    }
    const bin = binOf(confidence)
    add(sizes, bin, 1)
    add(confidences, bin, confidence)
    add(hits, bin, isRight ? 1 : 0)
    squares += (confidence - (isRight ? 1 : 0)) ** 2
    if (isRight) right[rights++] = confidence
    else wrong[wrongs++] = confidence
  }
  const gaps = sizes.reduce((sum, _, bin) => sum + Math.abs((confidences[bin] ?? 0) - (hits[bin] ?? 0)), 0)
  return {
    ece: figureOf(gaps, count),
    brier: figureOf(squares, count),
    auroc: { value: await separation(wrong.subarray(0, wrongs), right.subarray(0, rights)), n: count },
    wrong: wrongs,
    bins: Array.from(sizes, (size, bin) => ({
      from: bin / calibrationBins,
      to: (bin + 1) / calibrationBins,
      confidence: figureOf(confidences[bin] ?? 0, size),
      accuracy: figureOf(hits[bin] ?? 0, size),
    })),
  }
}

/** Probability that one of `low` is below one of `high`, ties half; `null` where one of the lists is empty. */
async function separation(low: Float64Array, high: Float64Array): Promise<number | null> {
  if (low.length === 0 || high.length === 0) return null
  const lower = await pacedSort(low)
  const higher = await pacedSort(high)
  const breathe = pace()
  let below = 0
  let upTo = 0
  let wins = 0
  for (let index = 0; index < higher.length; index++) {
    await breathe()
    const value = higher[index] ?? 0
    while (below < lower.length && (lower[below] ?? 0) < value) below++
    while (upTo < lower.length && (lower[upTo] ?? 0) <= value) upTo++
    wins += (below + upTo) / 2
  }
  return wins / (lower.length * higher.length)
}

const binOf = (confidence: number): number => Math.min(calibrationBins - 1, Math.floor(confidence * calibrationBins))

function add(sums: Float64Array, bin: number, value: number): void {
  sums[bin] = (sums[bin] ?? 0) + value
}
