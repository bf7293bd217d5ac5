// Calibration: ECE and Brier score by hand, AUROC by counting pairs, and long lists that leave the event loop free.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { calibrationBins, calibrationOf, type JudgedFill } from '../../src/training/calibration.js'
import { pacedSort } from '../../src/training/pacedSort.js'
import { stretchesDuring } from './stretches.js'

// Few values, so that there are ties; edges of bins among them.
const confidence = fc.oneof(
  fc.constantFrom(0, 1 / 15, 0.2, 0.4, 0.5, 2 / 3, 0.9, 1),
  fc.double({ min: 0, max: 1, noNaN: true }),
)
const fill: fc.Arbitrary<JudgedFill> = fc.record({ confidence, isRight: fc.boolean() })

describe('calibrationOf', () => {
  it('by hand', async () => {
    // bin 14: .96 right, .98 wrong, so |.97 - .5| * 2 / 4; bin 3: .2 wrong, so .2 / 4; bin 7: .5 right, so .5 / 4
    const { ece, brier, auroc, wrong, bins } = await calibrationOf([
      { confidence: 0.96, isRight: true },
      { confidence: 0.98, isRight: false },
      { confidence: 0.2, isRight: false },
      { confidence: 0.5, isRight: true },
    ])
    expect(ece.value).toBeCloseTo((0.94 + 0.2 + 0.5) / 4, 12)
    expect(brier.value).toBeCloseTo((0.04 ** 2 + 0.98 ** 2 + 0.2 ** 2 + 0.5 ** 2) / 4, 12)
    // pairs (wrong, right): .98 < .96 no, .98 < .5 no, .2 < .96 yes, .2 < .5 yes
    expect(auroc).toEqual({ value: 0.5, n: 4 })
    expect(wrong).toBe(2)
    expect(bins).toHaveLength(calibrationBins)
    expect(bins[14]).toMatchObject({ to: 1, confidence: { value: 0.97, n: 2 }, accuracy: { value: 0.5, n: 2 } })
    expect(bins[0]).toMatchObject({ from: 0, confidence: { value: null, n: 0 } })
  })

  it('AUROC is the share of pairs in order, ties half', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fill, { maxLength: 40 }), async (fills) => {
        const right = fills.filter(({ isRight }) => isRight)
        const wrong = fills.filter(({ isRight }) => !isRight)
        let wins = 0
        for (const w of wrong) {
          for (const r of right) wins += w.confidence < r.confidence ? 1 : w.confidence === r.confidence ? 0.5 : 0
        }
        const { auroc } = await calibrationOf(fills)
        if (right.length === 0 || wrong.length === 0) expect(auroc.value).toBeNull()
        else expect(auroc.value).toBeCloseTo(wins / (right.length * wrong.length), 12)
      }),
    )
  })

  it('ECE and Brier score are their formulas', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fill, { minLength: 1, maxLength: 40 }), async (fills) => {
        let gap = 0
        for (let bin = 0; bin < 15; bin++) {
          const inside = fills.filter(({ confidence: p }) => Math.min(14, Math.floor(p * 15)) === bin)
          if (inside.length === 0) continue
          const mean = inside.reduce((sum, { confidence: p }) => sum + p, 0) / inside.length
          const accuracy = inside.filter(({ isRight }) => isRight).length / inside.length
          gap += (inside.length / fills.length) * Math.abs(mean - accuracy)
        }
        const squares = fills.reduce((sum, { confidence: p, isRight }) => sum + (p - Number(isRight)) ** 2, 0)
        const { ece, brier, bins } = await calibrationOf(fills)
        expect(ece.value).toBeCloseTo(gap, 12)
        expect(brier.value).toBeCloseTo(squares / fills.length, 12)
        expect(bins.reduce((sum, bin) => sum + bin.accuracy.n, 0)).toBe(fills.length)
      }),
    )
  })

  it('is null without fills, and refuses what is no probability', async () => {
    expect(await calibrationOf([])).toMatchObject({ ece: { value: null, n: 0 }, auroc: { value: null }, wrong: 0 })
    for (const wrong of [-0.1, 1.1, Number.NaN]) {
      const measured = calibrationOf([
        { confidence: 0.5, isRight: true },
        { confidence: wrong, isRight: true },
      ])
      const message = `confidence of fill 1: expected 0..1, received ${wrong}`
      await expect(measured).rejects.toMatchObject({ code: 'ERR_INPUT', message })
    }
  })
})

describe('pacedSort', () => {
  it('sorts lists of any length', async () => {
    for (const length of [0, 1, 2, 8191, 8192, 8193, 3 * 8192 + 5, 100_000]) {
      const values = Array.from({ length }, (_, index) => ((index * 7919) % 10_007) / 10_007)
      expect(await pacedSort(values)).toEqual(Float64Array.from(values).sort())
    }
  })
})

it('a long list never holds the event loop', async () => {
  const fills = Array.from({ length: 300_000 }, (_, index) => {
    return { confidence: ((index * 7919) % 100_003) / 100_003, isRight: index % 3 > 0 }
  })
  const stretches = await stretchesDuring(() => calibrationOf(fills))
  // The garbage collector takes its share, so a few longer stretches are no fault.
  expect(stretches.length).toBeGreaterThan(5)
  expect(stretches[Math.floor(stretches.length * 0.9)]).toBeLessThan(20)
})
