// The float64 references of the straight-through samplers: hard samples, sums, gradients by central differences.
import { describe, expect, it } from 'vitest'
import { bernoulliSt, bernoulliStReference } from '../../src/ops/bernoulliSt.js'
import { countsStReference } from '../../src/ops/countsSt.js'
import { pointerSt, pointerStReference } from '../../src/ops/pointerSt.js'
import { randomFrom } from '../../src/random.js'

const numbers = (seed: number, count: number): Float64Array => {
  const random = randomFrom(seed, 0, 0, 'samplers.test')
  return Float64Array.from({ length: count }, () => 4 * random.next() - 2)
}
const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
const moved = (values: Float64Array, index: number, by: number): Float64Array =>
  values.map((value, i) => (i === index ? value + by : value))

function expectGradient(gradient: Float64Array, at: Float64Array, value: (at: Float64Array) => number): void {
  for (let i = 0; i < at.length; i++) {
    const difference = (value(moved(at, i, 1e-6)) - value(moved(at, i, -1e-6))) / 2e-6
    expect(gradient[i]).toBeCloseTo(difference, 7)
  }
}

describe.each([0.1, 1, 2])('at temperature %d', (temperature) => {
  it('bernoulliStReference: the gradient is that of the relaxed sample', () => {
    const [logits, noise, upstream] = [numbers(1, 12), numbers(2, 12), numbers(3, 12)]
    const { sample, gradient } = bernoulliStReference({ logits, noise, temperature, upstream })
    expect([...sample]).toEqual([...logits].map((logit, i) => (logit + (noise[i] ?? 0) > 0 ? 1 : 0)))
    expectGradient(gradient, logits, (at) =>
      dot(upstream, bernoulliStReference({ logits: at, noise, temperature }).relaxed),
    )
  })

  it.each([false, true])('pointerStReference: sums, set and gradient (repeats: %s)', (repeats) => {
    const [scores, noise, upstream] = [numbers(4, 14), numbers(5, 14), numbers(6, 14)]
    const rows = { offsets: [0, 1, 1, 6, 14], k: [1, 3, 5, 3], noise, temperature, repeats }
    const { sample, relaxed, gradient } = pointerStReference({ ...rows, scores, upstream })
    for (const [start, end, k] of [
      [0, 1, 1],
      [1, 6, 5],
      [6, 14, 3],
    ] as const) {
      const sum = (values: Float64Array) => values.subarray(start, end).reduce((total, value) => total + value, 0)
      expect(sum(sample)).toBe(k)
      expect(sum(relaxed)).toBeCloseTo(k, 10)
    }
    if (!repeats) expect([...new Set(sample)].toSorted()).toEqual([0, 1])
    // At .1 the surrogate is nearly a step; differences of 1e-6 are too coarse for it.
    if (temperature < 1) return
    expectGradient(gradient, scores, (at) => dot(upstream, pointerStReference({ ...rows, scores: at }).relaxed))
  })
})

describe('pointerStReference', () => {
  const quiet = { noise: [0, 0, 0, 0], offsets: [0, 4], temperature: 1 }

  it('gives ties to the lowest index', () => {
    expect([...pointerStReference({ ...quiet, scores: [1, 3, 3, 3], k: [2] }).sample]).toEqual([0, 1, 1, 0])
  })

  it('never takes a closed gap, and cuts k to the open ones', () => {
    const scores = [Number.NEGATIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, 0]
    const { sample, relaxed, gradient } = pointerStReference({ ...quiet, scores, k: [3], upstream: [1, 2, 3, 4] })
    expect([...sample]).toEqual([0, 1, 0, 1])
    expect(relaxed[0]).toBe(0)
    expect([...gradient].every(Number.isFinite)).toBe(true)
  })
})

describe('countsStReference', () => {
  it('sums to the rounded total, ties to the lowest index', () => {
    expect([...countsStReference([0.5, 1.5, 0.5, 0, 1.5, 0.5], [0, 3, 6])]).toEqual([1, 2, 0, 0, 2, 0])
    expect([...countsStReference([0.4], [0, 1])]).toEqual([0])
  })
})

describe('what is wrong is refused before the engine is loaded', () => {
  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('temperature %d', async (temperature) => {
    const refusal = { code: 'ERR_CONFIG', message: expect.stringContaining('temperature: expected a number above 0') }
    await expect(bernoulliSt({ logits: new Float32Array(2), temperature })).rejects.toMatchObject(refusal)
    const drawing = pointerSt({ scores: new Float32Array(2), k: Int32Array.of(1), temperature })
    await expect(drawing).rejects.toMatchObject(refusal)
  })
})
