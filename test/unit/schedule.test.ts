// Schedules: values at marked places, for each shape and unit.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scheduleConfig } from '../../src/config.js'
import { positionOf, type Schedule, valueAt, warmupThenCosine, warmupThenLinear } from '../../src/training/schedule.js'

const at = (schedule: Schedule, step: number, steps = 100) => valueAt(schedule, positionOf(step, steps))

describe('schedule', () => {
  it('gives numbers and constants as they are', () => {
    expect(at(0.5, 7)).toBe(0.5)
    expect(at({ constant: 0.25 }, 7)).toBe(0.25)
  })

  it('moves linearly, and stays put before and after', () => {
    const temperature: Schedule = { linear: { from: 2, to: 1, start: 5000, steps: 5000 } }
    expect([0, 5000, 7500, 10_000, 99_999].map((step) => at(temperature, step))).toEqual([2, 2, 1.5, 1, 1])
  })

  it('moves along a half cosine', () => {
    const cosine: Schedule = { cosine: { from: 1, to: 0, share: 1 } }
    expect(at(cosine, 0)).toBe(1)
    expect(at(cosine, 50)).toBeCloseTo(0.5, 12)
    expect(at(cosine, 25)).toBeCloseTo((1 + Math.SQRT1_2) / 2, 12)
    expect(at(cosine, 100)).toBeCloseTo(0, 12)
  })

  it('warms up and decays', () => {
    const linear = warmupThenLinear(3e-3, 0.1)
    expect(at(linear, 0)).toBe(0)
    expect(at(linear, 5)).toBeCloseTo(1.5e-3, 12)
    expect(at(linear, 10)).toBeCloseTo(3e-3, 12)
    expect(at(linear, 55)).toBeCloseTo(1.5e-3, 12)
    expect(at(linear, 100)).toBeCloseTo(0, 12)
    expect(at(warmupThenCosine(1, 0.1), 55)).toBeCloseTo(0.5, 12)
  })

  it('is continuous at the end of the warm-up', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), (warmup) => {
        const schedule = warmupThenLinear(1, warmup)
        const near = (progress: number) => valueAt(schedule, { step: 0, progress })
        return Math.abs(near(warmup - 1e-9) - near(warmup + 1e-9)) < 1e-6
      }),
    )
  })

  it('a ramp of no length is a jump', () => {
    const jump: Schedule = { linear: { from: 1, to: 2, start: 10, steps: 0 } }
    expect([9, 10, 11].map((step) => at(jump, step))).toEqual([1, 2, 2])
  })

  it('survives JSON and its schema', () => {
    const schedule = warmupThenCosine(3e-3)
    expect(scheduleConfig.parse(JSON.parse(JSON.stringify(schedule)))).toEqual(schedule)
  })
})
