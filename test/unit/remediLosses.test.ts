// The losses of Remask-SFT against numbers worked out by hand.
import { describe, expect, it } from 'vitest'
import { confidenceLabels, confidenceLoss, logSumExp, softplus, tokenLoss } from '../../src/remedi/losses.js'

// Two blocks of two positions, three tokens of which 2 is the mask.
const logits = [
  [0.7, 0.2, 0.1],
  [0.5, 0.4, 0.1],
  [0.1, 0.8, 0.1],
  [0.25, 0.25, 0.5],
].flatMap((row) => row.map((p) => Math.log(p) + 5))
const rows = { logits, clean: [0, 1, 1, 0], mask: 2, vocabulary: 3, blockLength: 2 }

describe('tokenLoss', () => {
  it('weighs the masks of a block by one over their share; visible and wrong tokens have none', () => {
    // Block 1: one of two masked, weight 2; block 2: both, weight 1.
    const expected = (2 * -Math.log(0.7) - Math.log(0.8) - Math.log(0.25)) / 4
    expect(tokenLoss({ ...rows, noisy: [2, 1, 2, 2] })).toBeCloseTo(expected, 12)
    expect(tokenLoss({ ...rows, noisy: [2, 0, 2, 2] })).toBeCloseTo(expected, 12)
    expect(tokenLoss({ ...rows, noisy: [0, 1, 1, 0] })).toBe(0)
  })
})

describe('confidenceLabels', () => {
  it('1 of a clean token, 0 of a wrong one, p(x0) of a masked one', () => {
    const labels = confidenceLabels({ ...rows, noisy: [2, 1, 0, 2] }, 0)
    ;[0.7, 1, 0, 0.25].forEach((label, at) => {
      expect(labels[at]).toBeCloseTo(label, 12)
    })
  })

  it('smoothing moves them towards one half', () => {
    const labels = confidenceLabels({ ...rows, noisy: [0, 0, 1, 0] }, 0.1)
    expect([...labels].map((label) => Math.round(1e12 * label) / 1e12)).toEqual([0.95, 0.05, 0.95, 0.95])
  })
})

describe('confidenceLoss', () => {
  it('is the mean binary cross-entropy', () => {
    const [h, label] = [
      [0.4, -1],
      [0.3, 1],
    ]
    const p = h.map((value) => 1 / (1 + Math.exp(-value)))
    const [p0 = 0, p1 = 0] = p
    const expected = -(0.3 * Math.log(p0) + 0.7 * Math.log(1 - p0) + Math.log(p1)) / 2
    expect(confidenceLoss(h, label)).toBeCloseTo(expected, 12)
  })

  it('does not overflow', () => {
    expect(confidenceLoss([1000, -1000], [1, 0])).toBe(0)
    expect(confidenceLoss([1000], [0])).toBe(1000)
  })
})

describe('logSumExp and softplus', () => {
  it('hold any number', () => {
    expect(logSumExp([])).toBe(Number.NEGATIVE_INFINITY)
    expect(logSumExp([1e4, 1e4])).toBeCloseTo(1e4 + Math.log(2), 9)
    expect(softplus(-800)).toBe(0)
    expect(softplus(0)).toBeCloseTo(Math.log(2), 15)
  })
})
