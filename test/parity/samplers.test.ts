// The engine's straight-through samplers against their float64 references, with the same noise; and the noise itself.
import { describe, expect, it } from 'vitest'
import { bernoulliSt, bernoulliStReference } from '../../src/ops/bernoulliSt.js'
import { countsSt, countsStReference } from '../../src/ops/countsSt.js'
import { pointerSt, pointerStReference } from '../../src/ops/pointerSt.js'
import type { Floats } from '../../src/ops/straightThrough.js'
import { randomFrom } from '../../src/random.js'
import { worstError } from './golden.js'

const within = 1e-6
const offsets = Int32Array.of(0, 1, 1, 9, 40, 140)
const k = Int32Array.of(1, 2, 3, 31, 20)
const widths = [Float32Array, Float64Array] as const

const numbers = (width: (typeof widths)[number], seed: number): Floats => {
  const random = randomFrom(seed, 0, 0, 'samplers.parity')
  return new width(Array.from({ length: 140 }, () => 4 * random.next() - 2))
}

// Numbers of the purposes in native/random.h.
const bernoulliPurpose = 9n
const pointerPurpose = 10n

// native/random.h and native/kernels/noise.h, in integers of any size.
function uniformAt(seed: bigint, purpose: bigint, row: bigint, index: bigint): number {
  const word = (value: bigint) => BigInt.asUintN(64, value)
  const mix = (value: bigint): bigint => {
    let v = word(value + 0x9e3779b97f4a7c15n)
    v = word((v ^ (v >> 30n)) * 0xbf58476d1ce4e5b9n)
    v = word((v ^ (v >> 27n)) * 0x94d049bb133111ebn)
    return v ^ (v >> 31n)
  }
  const key = mix(mix(mix(mix(seed) ^ 4n) ^ 2n) ^ purpose)
  return (Number(mix(key ^ mix(row) ^ index) >> 12n) + 0.5) / 2 ** 52
}

const expectClose = (actual: ArrayLike<number> | undefined, expected: Float64Array) => {
  const scale = 1 + expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  expect(worstError(actual ?? [], Array.from(expected)) / scale).toBeLessThanOrEqual(within)
}

describe.each(widths)('%o', (width) => {
  it.each([0.1, 1, 2])('bernoulliSt at temperature %d', async (temperature) => {
    const [logits, upstream] = [numbers(width, 1), numbers(width, 2)]
    const drawn = await bernoulliSt({ logits, offsets, temperature, seed: 3, upstream })
    const expected = bernoulliStReference({ logits, noise: drawn.noise, temperature, upstream })
    expect(drawn.sample).toBeInstanceOf(width)
    expect([...drawn.sample]).toEqual([...expected.sample])
    expectClose(drawn.relaxed, expected.relaxed)
    expectClose(drawn.gradient, expected.gradient)
  })

  it.each([
    [0.1, false],
    [1, false],
    [2, false],
    [0.5, true],
    [2, true],
  ])('pointerSt at temperature %d, repeats: %s', async (temperature, repeats) => {
    const [scores, upstream] = [numbers(width, 3), numbers(width, 4)]
    const drawn = await pointerSt({ scores, offsets, k, temperature, repeats, seed: 5, upstream })
    const expected = pointerStReference({ scores, offsets, k, temperature, repeats, noise: drawn.noise, upstream })
    expect([...drawn.sample]).toEqual([...expected.sample])
    // Expected counts of up to 31 are float32 products there.
    expectClose(drawn.relaxed, expected.relaxed)
    expectClose(drawn.gradient, expected.gradient)
  })

  it('countsSt', async () => {
    const [expected, upstream] = [numbers(width, 6).map((value: number) => value + 2), numbers(width, 7)]
    const { sample, relaxed, gradient } = await countsSt({ expected, offsets, upstream })
    expect([...sample]).toEqual([...countsStReference(expected, offsets)])
    expect(relaxed).toEqual(expected)
    expect(gradient).toEqual(upstream)
  })
})

describe('noise', () => {
  it('is the stated function of seed, step, round, purpose, row and index', async () => {
    const place = { seed: 2 ** 53 - 1, step: 4, round: 2, offsets, temperature: 1 }
    const coins = await bernoulliSt({ ...place, logits: numbers(Float32Array, 1) })
    const gaps = await pointerSt({ ...place, k, scores: numbers(Float32Array, 1) })
    for (let row = 0; row + 1 < offsets.length; row++) {
      const start = offsets[row] ?? 0
      for (let index = start; index < (offsets[row + 1] ?? 0); index++) {
        const at = (purpose: bigint) => uniformAt(BigInt(place.seed), purpose, BigInt(row), BigInt(index - start))
        const coin = at(bernoulliPurpose)
        expect(coins.noise[index]).toBeCloseTo(Math.log(coin / (1 - coin)), 12)
        expect(gaps.noise[index]).toBeCloseTo(-Math.log(-Math.log(at(pointerPurpose))), 12)
      }
    }
  })
})

describe('refused by the engine', () => {
  const scores = Float32Array.of(0, 1)
  const bad = Float64Array.of(0, Number.NaN)
  it.each([
    ['ERR_NONFINITE', () => bernoulliSt({ logits: bad, temperature: 1 })],
    ['ERR_NONFINITE', () => pointerSt({ scores: bad, k: Int32Array.of(1), temperature: 1 })],
    ['ERR_NONFINITE', () => countsSt({ expected: bad })],
    ['ERR_INPUT', () => countsSt({ expected: Float32Array.of(-1) })],
    ['ERR_CONFIG', () => pointerSt({ scores, k: Int32Array.of(-1), temperature: 1 })],
    ['ERR_SHAPE', () => pointerSt({ scores, k: Int32Array.of(1, 1), temperature: 1 })],
    ['ERR_SHAPE', () => bernoulliSt({ logits: scores, offsets: Int32Array.of(0, 1), temperature: 1 })],
    ['ERR_SHAPE', () => bernoulliSt({ logits: scores, temperature: 1, upstream: Float32Array.of(1) })],
    ['ERR_SHAPE', () => bernoulliSt({ logits: scores, temperature: 1, upstream: Float64Array.of(1, 1) })],
  ])('%s', async (code, call) => {
    await expect(call()).rejects.toMatchObject({ code })
  })
})
