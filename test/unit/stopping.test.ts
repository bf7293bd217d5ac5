// The stop rule: each reason, their order, and that the loop always ends.
import { describe, expect, it } from 'vitest'
import { confidenceOf, type StopRule, stopReason } from '../../src/merge/stopping.js'

const rule: StopRule = { maxRounds: 6, confidenceThreshold: 0.9, confidence: 'mean', epsilon: 1 }
const row = (...tokens: number[]) => Int32Array.from(tokens)

describe('stopReason', () => {
  it('confident: what was filled is sure enough', () => {
    const outcome = { rounds: 1, current: row(1, 2), earlier: [row(1)], filled: [0.95] }
    expect(stopReason(outcome, rule)).toBe('confident')
    expect(stopReason({ ...outcome, filled: [0.9] }, rule)).toBeUndefined()
  })

  it('converged: nothing changed', () => {
    expect(stopReason({ rounds: 1, current: row(1, 2), earlier: [row(1, 2)], filled: [] }, rule)).toBe('converged')
  })

  it('converged: changed by fewer tokens than epsilon', () => {
    const outcome = { rounds: 1, current: row(1, 2, 3), earlier: [row(1, 2, 4)], filled: [0.1] }
    expect(stopReason(outcome, { ...rule, epsilon: 2 })).toBe('converged')
    expect(stopReason(outcome, rule)).toBeUndefined()
  })

  it('cycle: a state seen before', () => {
    expect(stopReason({ rounds: 2, current: row(1), earlier: [row(1), row(2)], filled: [0.1] }, rule)).toBe('cycle')
  })

  it('exhausted: the last round', () => {
    expect(stopReason({ rounds: 6, current: row(3), earlier: [row(1), row(2)], filled: [0.1] }, rule)).toBe('exhausted')
  })

  it.each([0, 1, Number.NaN])('ends in maxRounds whatever the confidence, here %s', (confidence) => {
    const earlier = [row(0)]
    let rounds = 0
    for (;;) {
      rounds++
      const current = row(rounds)
      if (stopReason({ rounds, current, earlier, filled: [confidence] }, rule) !== undefined) break
      earlier.push(current)
    }
    expect(rounds).toBe(confidence === 1 ? 1 : 6)
  })
})

describe('confidenceOf', () => {
  it('takes mean, minimum or geometric mean', () => {
    expect(confidenceOf([0.5, 1], 'mean')).toBe(0.75)
    expect(confidenceOf([0.5, 1], 'min')).toBe(0.5)
    expect(confidenceOf([0.25, 1], 'geometric')).toBeCloseTo(0.5, 12)
    expect(confidenceOf([0, 1], 'geometric')).toBe(0)
  })

  it('is 0 where nothing was filled', () => {
    for (const measure of ['mean', 'min', 'geometric'] as const) expect(confidenceOf([], measure)).toBe(0)
  })
})
