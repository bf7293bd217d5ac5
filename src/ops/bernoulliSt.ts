// bernoulliSt: a coin for each logit, with a gradient (Gumbel-sigmoid; Maddison et al. 2017, Jang et al. 2017).

import { z } from 'zod'
import { parseConfig } from '../parseConfig.js'
import { type Drawn, type Floats, type NoiseOptions, oneRow, runSampler, samplerFields } from './straightThrough.js'

/** Options of {@link bernoulliSt}. N logits, B rows. */
export interface BernoulliStOptions extends NoiseOptions {
  /** Finite numbers; a coin shows 1 with probability `1 / (1 + exp(-logit))`. [N] */
  readonly logits: Floats
  /** Rows, `[B + 1]`: a row draws the same whatever stands beside it. Default: one row. */
  readonly offsets?: Int32Array | undefined
  /** Of the surrogate; above 0. The sample does not depend on it. */
  readonly temperature: number
  /** Gradient of a loss by the sample, of the logits' width. [N] */
  readonly upstream?: Floats | undefined
}

const schema = z.strictObject({
  logits: samplerFields.floats,
  offsets: samplerFields.integers.optional(),
  temperature: samplerFields.temperature,
  seed: samplerFields.counter,
  step: samplerFields.counter,
  round: samplerFields.counter,
  upstream: samplerFields.floats.optional(),
})

/**
 * Straight-through Bernoulli samples. Forward: 1 where `logit + noise > 0`, else 0, with logistic noise. Backward: the
 * gradient of `relaxed = sigmoid((logit + noise) / temperature)` (specification, section 3).
 *
 * @throws MergeError `ERR_CONFIG` for a temperature that is not above 0, `ERR_NONFINITE` for logits that are not finite,
 * `ERR_SHAPE` for lengths that do not fit
 * @example
 * const { sample, gradient } = await bernoulliSt({ logits, temperature: 1, seed: 7, upstream })
 */
export async function bernoulliSt(options: BernoulliStOptions): Promise<Drawn> {
  const { logits, offsets, upstream, ...rest } = parseConfig(schema, options, 'bernoulliSt')
  const arrays = { logits, offsets: offsets ?? oneRow(logits.length) }
  return runSampler('bernoulliSt', rest, upstream === undefined ? arrays : { ...arrays, upstream })
}

/** What {@link bernoulliStReference} is given. */
export interface BernoulliStInput {
  readonly logits: ArrayLike<number>
  /** Logistic noise, one number for each logit. */
  readonly noise: ArrayLike<number>
  readonly temperature: number
  readonly upstream?: ArrayLike<number> | undefined
}

/** {@link bernoulliSt} as a plain float64 formula, with its noise given. */
export function bernoulliStReference({ logits, noise, temperature, upstream }: BernoulliStInput) {
  const sample = new Float64Array(logits.length)
  const relaxed = new Float64Array(logits.length)
  const gradient = new Float64Array(logits.length)
  for (let index = 0; index < logits.length; index++) {
    const score = (logits[index] ?? 0) + (noise[index] ?? 0)
    // Of |score|, so that nothing overflows and 1 - relaxed keeps its digits.
    const small = Math.exp(-Math.abs(score) / temperature)
    sample[index] = score > 0 ? 1 : 0
    relaxed[index] = (score > 0 ? 1 : small) / (1 + small)
    gradient[index] = ((upstream?.[index] ?? 0) * small) / (1 + small) ** 2 / temperature
  }
  return { sample, relaxed, gradient }
}
