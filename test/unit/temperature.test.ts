// Temperature scaling: finds the temperature by which a confidence was spoiled, and mends the calibration error.
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../../src/random.js'
import { fitTemperature, scaled, scaledCalibration } from '../../src/training/temperature.js'

// Right as often as sigmoid(logit) says, but shown as if the logits were `spoil` times as large.
function fills(count: number, spoil: number) {
  const random = randomFrom(3)
  return Array.from({ length: count }, () => {
    const logit = 6 * random.next() - 3
    const shown = 1 / (1 + Math.exp(-logit * spoil))
    return { confidence: shown, isRight: random.next() < 1 / (1 + Math.exp(-logit)) }
  })
}

describe('temperature', () => {
  it.each([0.5, 1, 4])('finds what spoiled the confidence by %d', (spoil) => {
    expect(fitTemperature(fills(20_000, spoil)) / spoil).toBeCloseTo(1, 1)
  })

  it('mends the calibration error and leaves the order alone', async () => {
    const { raw, scaled: mended, temperature } = await scaledCalibration(fills(20_000, 4))
    expect(temperature).toBeGreaterThan(3)
    expect(raw.ece.value).toBeGreaterThan(0.1)
    expect(mended.ece.value).toBeLessThan(0.03)
    expect(mended.brier.value).toBeLessThan(raw.brier.value ?? 0)
    expect(Math.abs((mended.auroc.value ?? 0) - (raw.auroc.value ?? 0))).toBeLessThan(0.01)
  })

  it('holds confidences of 0 and 1', () => {
    expect(scaled(1, 2)).toBeGreaterThan(0.99)
    expect(scaled(0, 2)).toBeLessThan(0.01)
    expect(fitTemperature([{ confidence: 1, isRight: true }])).toBeGreaterThan(0)
  })
})
