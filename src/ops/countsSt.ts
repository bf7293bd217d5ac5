// countsSt: whole counts for expected ones, with a gradient (largest remainder).

import { z } from 'zod'
import { parseConfig } from '../parseConfig.js'
import { type Floats, oneRow, runSampler, type StraightThrough, samplerFields } from './straightThrough.js'

/** Options of {@link countsSt}. G gaps, B rows. */
export interface CountsStOptions {
  /** Expected counts, 0 to 2^24. [G] */
  readonly expected: Floats
  /** Rows, `[B + 1]`. Default: one row. */
  readonly offsets?: Int32Array | undefined
  /** Gradient of a loss by the counts, of the width of `expected`. [G] */
  readonly upstream?: Floats | undefined
}

const schema = z.strictObject({
  expected: samplerFields.floats,
  offsets: samplerFields.integers.optional(),
  upstream: samplerFields.floats.optional(),
})

/**
 * Whole counts for expected ones. Forward: the floor of each, and one more at the largest remainders of a row (the lowest
 * index first among equal ones) until the row's sum is the rounded sum of what was expected, halves up. Backward: the
 * identity (`relaxed` is `expected`). Nothing is drawn (specification, section 3).
 *
 * @throws MergeError `ERR_INPUT` for counts outside 0..2^24, `ERR_NONFINITE`, `ERR_SHAPE`
 */
export async function countsSt(options: CountsStOptions): Promise<StraightThrough> {
  const { expected, offsets, upstream } = parseConfig(schema, options, 'countsSt')
  const arrays = { expected, offsets: offsets ?? oneRow(expected.length) }
  const { sample, relaxed, gradient } = await runSampler(
    'countsSt',
    {},
    upstream === undefined ? arrays : { ...arrays, upstream },
  )
  return gradient === undefined ? { sample, relaxed } : { sample, relaxed, gradient }
}

/** The counts of {@link countsSt} as a plain float64 formula. */
export function countsStReference(expected: ArrayLike<number>, offsets: ArrayLike<number>): Float64Array {
  const counts = Float64Array.from(expected, Math.floor)
  for (let row = 0; row + 1 < offsets.length; row++) {
    const gaps: number[] = []
    let total = 0
    let whole = 0
    for (let gap = offsets[row] ?? 0; gap < (offsets[row + 1] ?? 0); gap++) {
      gaps.push(gap)
      total += expected[gap] ?? 0
      whole += counts[gap] ?? 0
    }
    const remainder = (gap: number): number => (expected[gap] ?? 0) - Math.floor(expected[gap] ?? 0)
    gaps.sort((a, b) => remainder(b) - remainder(a) || a - b)
    for (const gap of gaps.slice(0, Math.floor(total + 0.5) - whole)) counts[gap] = (counts[gap] ?? 0) + 1
  }
  return counts
}
