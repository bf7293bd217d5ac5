// Fields: the pieces that configuration schemas are made of.

import { z } from 'zod'

/** A number low..high. */
export const number = (low: number, high: number) => {
  const expected = high === Infinity ? `expected a number >= ${low}` : `expected ${low}..${high}`
  return z.number(expected).min(low, expected).max(high, expected)
}
/** A number above low, at most high. */
export const above = (low: number, high: number) => {
  const expected = `expected a number above ${low}${high === Infinity ? '' : `, at most ${high}`}`
  return z.number(expected).gt(low, expected).max(high, expected)
}
/** A whole number low..high. */
export const whole = (low: number, high: number) => {
  const expected = `expected a whole number ${high === Infinity ? `>= ${low}` : `${low}..${high}`}`
  return z.int(expected).min(low, expected).max(high, expected)
}

/** A seed. */
export const seed = whole(0, Number.MAX_SAFE_INTEGER).default(0).describe('seed of every random number (0..2^53 - 1)')

/** Where a model runs: the only options of a loaded model that may differ from the saved one. */
export const placement = {
  dtype: z.enum(['float32', 'bfloat16']).default('float32').describe('compute type; weights are always float32'),
  device: z
    .string()
    .regex(/^(cpu|cuda:\d+)$/, 'expected "cpu" or "cuda:<n>"')
    .default('cpu')
    .describe('where the model runs: cpu or cuda:<n>; never changed silently'),
  matmulPrecision: z
    .enum(['highest', 'medium', 'int8'])
    .default('highest')
    .describe(
      'medium: float32 matrices may be multiplied in bfloat16 where the processor has it (AMX), as in PyTorch; int8: on ' +
        'the CPU and where nothing learns, matrices of blocks are multiplied in 8 bits, each row by a scale of its own',
    ),
}
