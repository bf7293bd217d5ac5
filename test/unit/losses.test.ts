// The five losses against numbers worked out by hand, and the laws they must hold.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bernoulliKl,
  compressionLoss,
  gateLoss,
  lengthLoss,
  meanOverRounds,
  pointerLoss,
  reconLoss,
  totalLoss,
} from '../../src/merge/losses.js'

const logit = (p: number) => Math.log(p / (1 - p))
const recon = { vocabulary: 4, labelSmoothing: 0 }
const keeping = { gate: [1], keepReduction: 0.2, keepKl: 0 }

describe('reconLoss', () => {
  it('is log V where the filler knows nothing', () => {
    expect(reconLoss({ ...recon, logits: new Array(8).fill(3), targets: [0, 3] })).toBeCloseTo(Math.log(4), 12)
  })

  it('is the mean over masks of -log p', () => {
    const logits = [0.5, 0.25, 0.125, 0.125, 0.1, 0.2, 0.3, 0.4].map(Math.log)
    expect(reconLoss({ ...recon, logits, targets: [0, 1] })).toBeCloseTo((Math.log(2) + Math.log(5)) / 2, 12)
  })

  it('smooths over the whole vocabulary', () => {
    const logits = [0.5, 0.25, 0.125, 0.125].map(Math.log)
    const spread = (Math.log(2) + Math.log(4) + 2 * Math.log(8)) / 4
    expect(reconLoss({ ...recon, logits, targets: [0], labelSmoothing: 0.1 })).toBeCloseTo(
      0.9 * Math.log(2) + 0.1 * spread,
      12,
    )
  })

  it('does not overflow', () => {
    expect(reconLoss({ ...recon, logits: [1000, 0, 0, 0], targets: [0] })).toBe(0)
    expect(reconLoss({ ...recon, logits: [-1000, 0, 0, 0], targets: [0] })).toBeCloseTo(1000 + Math.log(3), 9)
  })
})

describe('compressionLoss', () => {
  it('is the mean over tokens of BCE', () => {
    const input = { ...keeping, keepLogits: [logit(0.75), logit(0.5)], keepTargets: [1, 0], offsets: [0, 2] }
    expect(compressionLoss(input)).toBeCloseTo(-(Math.log(0.75) + Math.log(0.5)) / 2, 12)
  })

  it('adds the KL of each row that has tokens', () => {
    const input = {
      keepLogits: [logit(0.9), logit(0.7), logit(0.5)],
      keepTargets: [1, 1, 1],
      offsets: [0, 2, 2, 3],
      gate: [1, 1, 0],
      keepReduction: 0.2,
      keepKl: 0,
    }
    const kl = (bernoulliKl(0.8, 0.8) + bernoulliKl(0.5, 1)) / 2
    expect(compressionLoss({ ...input, keepKl: 0.1 }) - compressionLoss(input)).toBeCloseTo(0.1 * kl, 12)
  })
})

describe('bernoulliKl', () => {
  it('is 0 for equal ones, finite at the ends', () => {
    expect(bernoulliKl(0.3, 0.3)).toBe(0)
    expect(bernoulliKl(0, 1)).toBeCloseTo((1 - 2e-4) * Math.log((1 - 1e-4) / 1e-4), 9)
  })

  it('is never negative', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(fc.property(share, share, (p, q) => bernoulliKl(p, q) >= -1e-15))
  })
})

describe('pointerLoss', () => {
  const input = {
    countLogits: [0, 0, 0, 0, 0, 0],
    counts: [0, 2],
    offsets: [0, 2],
    countSmoothing: 0.01,
    scoreEntropy: 0,
  }

  it('is log C where the counts know nothing', () => {
    expect(pointerLoss({ ...input, scores: [0, 0] })).toBeCloseTo(Math.log(3), 12)
  })

  it('rewards the entropy of the scores, row by row', () => {
    expect(pointerLoss({ ...input, scores: [5, 5], scoreEntropy: 1 })).toBeCloseTo(Math.log(3) - Math.log(2), 12)
    expect(pointerLoss({ ...input, scores: [5, 5], offsets: [0, 1, 2], scoreEntropy: 1 })).toBeCloseTo(Math.log(3), 12)
  })
})

describe('gateLoss', () => {
  it('is BCE and the cost of opening', () => {
    const loss = gateLoss({ gateLogits: [logit(0.8), logit(0.4)], gateTargets: [1, 0], gateCost: 0.05 })
    expect(loss).toBeCloseTo((-Math.log(0.8) - Math.log(0.6)) / 2 + 0.05 * 0.6, 12)
  })
})

describe('lengthLoss', () => {
  it('is the square of the difference of the shares, row by row', () => {
    const input = { keepLogits: [logit(0.9), logit(0.5), logit(0.25)], keepTargets: [1, 0, 1], offsets: [0, 2, 2, 3] }
    expect(lengthLoss(input)).toBeCloseTo((0.2 ** 2 + 0.75 ** 2) / 2, 12)
  })
})

describe('all', () => {
  it('the mean over an empty set is 0', () => {
    const none = { keepLogits: [], keepTargets: [], offsets: [0, 0] }
    expect(reconLoss({ ...recon, logits: [], targets: [] })).toBe(0)
    expect(compressionLoss({ ...none, gate: [1], keepReduction: 0.2, keepKl: 0.1 })).toBe(0)
    expect(
      pointerLoss({ countLogits: [], counts: [], scores: [], offsets: [0], countSmoothing: 0.01, scoreEntropy: 1 }),
    ).toBe(0)
    expect(gateLoss({ gateLogits: [], gateTargets: [], gateCost: 0.05 })).toBe(0)
    expect(lengthLoss(none)).toBe(0)
    expect(meanOverRounds([])).toEqual({ recon: 0, compression: 0, pointer: 0, gate: 0, length: 0 })
  })

  it('become one by their weights, after the mean over rounds', () => {
    const round = (value: number) => ({ recon: value, compression: value, pointer: value, gate: value, length: value })
    const terms = meanOverRounds([round(1), round(3)])
    expect(terms).toEqual(round(2))
    expect(totalLoss(terms, { recon: 1, compression: 0.5, pointer: 0.5, gate: 0.1, length: 0.1 })).toBeCloseTo(4.4, 12)
  })
})
