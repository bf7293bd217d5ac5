// The kinds of numbers that options are made of; each says what it expected.

import { z } from 'zod'

export const number = (low: number, high: number) => {
  const expected = high === Infinity ? `expected a number >= ${low}` : `expected ${low}..${high}`
  return z.number(expected).min(low, expected).max(high, expected)
}
export const above = (low: number, high: number) => {
  const expected = `expected a number above ${low}${high === Infinity ? '' : `, at most ${high}`}`
  return z.number(expected).gt(low, expected).max(high, expected)
}
export const whole = (low: number, high: number) => {
  const expected = `expected a whole number ${high === Infinity ? `>= ${low}` : `${low}..${high}`}`
  return z.int(expected).min(low, expected).max(high, expected)
}
/** The seed that many schemas share. */
export const seed = whole(0, Number.MAX_SAFE_INTEGER).default(0).describe('seed of every random number (0..2^53 - 1)')
