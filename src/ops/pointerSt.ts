// pointerSt: k gaps of each row, drawn without replacement, with a gradient (Gumbel top-k; Kool et al. 2019).

import { z } from 'zod'
import { parseConfig } from '../parseConfig.js'
import { countsStReference } from './countsSt.js'
import {
  type Drawn,
  type Floats,
  type NoiseOptions,
  oneRow,
  openMembers,
  runSampler,
  samplerFields,
} from './straightThrough.js'

/** Options of {@link pointerSt}. G gaps, B rows. */
export interface PointerStOptions extends NoiseOptions {
  /** Log-weights of the gaps; -infinity closes one. [G] */
  readonly scores: Floats
  /** Rows, `[B + 1]`. Default: one row. */
  readonly offsets?: Int32Array | undefined
  /** How many to draw in each row, 0 or more. [B] */
  readonly k: Int32Array
  /** Of the surrogate; above 0. Without repeats the sample does not depend on it. */
  readonly temperature: number
  /** Whether a gap may be drawn more than once: counts in place of a set. Default false. */
  readonly repeats?: boolean | undefined
  /** Gradient of a loss by the sample, of the scores' width. [G] */
  readonly upstream?: Floats | undefined
}

const schema = z.strictObject({
  scores: samplerFields.floats,
  offsets: samplerFields.integers.optional(),
  k: samplerFields.integers,
  temperature: samplerFields.temperature,
  repeats: z.boolean().default(false),
  seed: samplerFields.counter,
  step: samplerFields.counter,
  round: samplerFields.counter,
  upstream: samplerFields.floats.optional(),
})

/**
 * Straight-through draws of `k` gaps in each row (specification, section 3).
 *
 * Forward: 1 at the `k` largest `scores + Gumbel noise`, the lowest index first among equal ones, else 0. Backward: the
 * gradient of the relaxed top-k of `w = (scores + noise) / temperature` by successive softmax: `k` times `p = softmax(w)`,
 * `relaxed += p`, `w += log(1 - p) / temperature` (Xie and Ermon 2019). A closed gap is never drawn, and `k` is cut to the
 * number of open ones.
 *
 * With `repeats` the surrogate is `k softmax(w)` and the sample its whole counts by largest remainder.
 *
 * @throws MergeError `ERR_CONFIG` for a temperature that is not above 0 or a negative `k`, `ERR_NONFINITE` for scores that
 * are NaN or +infinity, `ERR_SHAPE` for lengths that do not fit
 * @example
 * const { sample, relaxed } = await pointerSt({ scores, k: Int32Array.of(3), temperature: 1, seed: 7 })
 */
export async function pointerSt(options: PointerStOptions): Promise<Drawn> {
  const { scores, offsets, k, upstream, ...rest } = parseConfig(schema, options, 'pointerSt')
  const arrays = { scores, k, offsets: offsets ?? oneRow(scores.length) }
  return runSampler('pointerSt', rest, upstream === undefined ? arrays : { ...arrays, upstream })
}

/** What {@link pointerStReference} is given. */
export interface PointerStInput {
  readonly scores: ArrayLike<number>
  /** Gumbel noise, one number for each score. */
  readonly noise: ArrayLike<number>
  readonly offsets: ArrayLike<number>
  readonly k: ArrayLike<number>
  readonly temperature: number
  readonly repeats?: boolean | undefined
  readonly upstream?: ArrayLike<number> | undefined
}

/** {@link pointerSt} as a plain float64 formula, with its noise given. */
export function pointerStReference(input: PointerStInput) {
  const { scores, offsets, k, temperature, upstream } = input
  const noisy = Float64Array.from(scores, (score, gap) => score + (input.noise[gap] ?? 0))
  const result = {
    sample: new Float64Array(scores.length),
    relaxed: new Float64Array(scores.length),
    gradient: new Float64Array(scores.length),
  }
  for (let row = 0; row + 1 < offsets.length; row++) {
    const open = openMembers(noisy, offsets[row] ?? 0, offsets[row + 1] ?? 0)
    const drawn = k[row] ?? 0
    const weights = open.map((gap) => (noisy[gap] ?? 0) / temperature)
    const up = open.map((gap) => upstream?.[gap] ?? 0)
    const { relaxed, gradient } =
      input.repeats === true
        ? expectedCounts(weights, drawn, up)
        : relaxedTopK(weights, Math.min(drawn, open.length), temperature, up)
    open.forEach((gap, index) => {
      result.relaxed[gap] = relaxed[index] ?? 0
      result.gradient[gap] = (gradient[index] ?? 0) / temperature
    })
    const best = open.toSorted((a, b) => (noisy[b] ?? 0) - (noisy[a] ?? 0) || a - b)
    for (const gap of best.slice(0, drawn)) result.sample[gap] = 1
  }
  return input.repeats === true ? { ...result, sample: countsStReference(result.relaxed, offsets) } : result
}

// `gradient` is by the weights.
interface Relaxed {
  readonly relaxed: readonly number[]
  readonly gradient: readonly number[]
}

function relaxedTopK(first: readonly number[], k: number, temperature: number, up: readonly number[]): Relaxed {
  // 1) forward: every softmax, and every log(1 - p) as the share of all the others
  const turns: (readonly number[])[] = []
  let relaxed = first.map(() => 0)
  for (let weights = first; turns.length < k; ) {
    const turn = weights
    turns.push(turn)
    const lse = logSumExp(turn)
    relaxed = relaxed.map((sum, i) => sum + Math.exp((turn[i] ?? 0) - lse))
    weights = turn.map((weight, i) => weight + (logSumExp(turn, i) - lse) / temperature)
  }
  // 2) backward, the last softmax first; `gradient` is by the weights that the softmax behind read
  let gradient = first.map(() => 0)
  for (const [t, turn] of [...turns.entries()].reverse()) {
    const lse = logSumExp(turn)
    const p = turn.map((weight) => Math.exp(weight - lse))
    const mean = p.reduce((sum, share, i) => sum + share * (up[i] ?? 0), 0)
    const later = gradient
    gradient = p.map((share, m) => (later[m] ?? 0) + share * ((up[m] ?? 0) - mean))
    if (t + 1 === turns.length) continue
    for (let i = 0; i < turn.length; i++) {
      const others = logSumExp(turn, i)
      const led = (later[i] ?? 0) / temperature
      gradient = gradient.map((sum, m) => {
        const share = m === i ? 0 : Math.exp((turn[m] ?? 0) - others)
        return sum + led * (share - (p[m] ?? 0))
      })
    }
  }
  return { relaxed, gradient }
}

function expectedCounts(weights: readonly number[], k: number, up: readonly number[]): Relaxed {
  const lse = logSumExp(weights)
  const relaxed = weights.map((weight) => k * Math.exp(weight - lse))
  const mean = relaxed.reduce((sum, count, i) => sum + (count * (up[i] ?? 0)) / Math.max(1, k), 0)
  return { relaxed, gradient: relaxed.map((count, i) => count * ((up[i] ?? 0) - mean)) }
}

/** Over all, or over all but one. */
function logSumExp(values: readonly number[], without = -1): number {
  const kept = without < 0 ? values : values.toSpliced(without, 1)
  const most = kept.reduce((top, value) => Math.max(top, value), Number.NEGATIVE_INFINITY)
  if (most === Number.NEGATIVE_INFINITY) return most
  return most + Math.log(kept.reduce((sum, value) => sum + Math.exp(value - most), 0))
}
