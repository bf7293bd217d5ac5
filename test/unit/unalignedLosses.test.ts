// Literal losses by hand; AXE, OAXE and CTC against brute force over alignments, permutations and paths.
import { describe, expect, it } from 'vitest'
import { type AlignmentInput, axeLoss, ctcLoss, oaxeLoss } from '../../src/merge/alignmentLosses.js'
import { cheapestAssignment } from '../../src/merge/assignment.js'
import {
  literalCompressionLoss,
  literalGateLoss,
  literalLengthLoss,
  literalPointerLoss,
  literalReconLoss,
} from '../../src/merge/literalLosses.js'
import { randomFrom } from '../../src/random.js'

const logit = (p: number) => Math.log(p / (1 - p))

describe('literal', () => {
  it('recon: cut to the target, and what the row lacks costs log V', () => {
    const logits = [0.5, 0.25, 0.25, 0.1, 0.2, 0.7, 0.6, 0.3, 0.1].map(Math.log)
    const rows = { logits, offsets: [0, 2, 3], targets: [1, 0, 2], targetOffsets: [0, 1, 3], vocabulary: 3 }
    expect(literalReconLoss(rows)).toBeCloseTo((-Math.log(0.25) + (-Math.log(0.6) + Math.log(3)) / 2) / 2, 12)
  })

  it('compression: the mean over tokens of the KL, clamped', () => {
    const input = { keepLogits: [logit(0.9), logit(0.5)], offsets: [0, 1, 2], gate: [1, 0], keepReduction: 0.2 }
    const first = 0.9 * Math.log(0.9 / 0.8) + 0.1 * Math.log(0.1 / 0.2)
    const second = 0.5 * Math.log(0.5 / (1 - 1e-4)) + 0.5 * Math.log(0.5 / 1e-4)
    expect(literalCompressionLoss(input)).toBeCloseTo((first + second) / 2, 12)
  })

  it('pointer: the KL to the uniform distribution of each row with gaps', () => {
    const scores = [0.5, 0.25, 0.25, 1].map(Math.log)
    const kl = 0.5 * Math.log(1.5) + 0.5 * Math.log(0.75)
    expect(literalPointerLoss(scores, [0, 3, 3, 4])).toBeCloseTo(kl / 2, 12)
  })

  it('gate and length: means', () => {
    expect(literalGateLoss([logit(0.8), logit(0.4)], 0.05)).toBeCloseTo(0.03, 12)
    expect(literalLengthLoss([logit(0.9), logit(0.5), logit(0.2)], [0, 2, 2, 3])).toBeCloseTo(0.45, 12)
  })
})

interface Row {
  readonly input: AlignmentInput
  readonly tokens: readonly number[]
  readonly positions: number
  readonly price: (position: number, token: number) => number
}

// m positions and n tokens over 4 symbols, 0 the blank.
const tinyRows: readonly Row[] = [0, 1, 2, 3, 4].flatMap((positions) =>
  [0, 1, 2, 3].flatMap((length) =>
    [0, 1, 2].map((seed) => {
      const random = randomFrom(seed, positions, length, 'unaligned')
      const logits = Array.from({ length: positions * 4 }, () => 4 * random.next() - 2)
      const tokens = Array.from({ length }, () => 1 + random.integer(3))
      const price = (position: number, token: number): number => {
        const row = logits.slice(position * 4, position * 4 + 4)
        return Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - (row[token] ?? 0)
      }
      const offsets = [0, positions]
      const input = { logits, offsets, targets: tokens, targetOffsets: [0, length], vocabulary: 4, blank: 0 }
      return { input, tokens, positions, price }
    }),
  ),
)
const mean = (cost: number, tokens: readonly number[]) => cost / Math.max(1, tokens.length)

function cheapestOf(row: Row, penalty: number, i = 0, j = 0): number {
  const { tokens, positions, price } = row
  if (i === tokens.length && j === positions) return 0
  const token = tokens[i] ?? 0
  const ways: number[] = []
  if (i < tokens.length && j < positions) ways.push(price(j, token) + cheapestOf(row, penalty, i + 1, j + 1))
  if (j < positions) ways.push(price(j, 0) + cheapestOf(row, penalty, i, j + 1))
  if (i < tokens.length) {
    const skipped = positions === 0 ? Math.log(4) : price(Math.max(0, j - 1), token)
    ways.push(penalty * skipped + cheapestOf(row, penalty, i + 1, j))
  }
  return Math.min(...ways)
}

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]))
}

describe('brute force', () => {
  it.each([0.4, 1, 3])('axe is the cheapest of all monotone alignments (penalty %d)', (penalty) => {
    for (const row of tinyRows) {
      expect(axeLoss({ ...row.input, penalty })).toBeCloseTo(mean(cheapestOf(row, penalty), row.tokens), 12)
    }
  })

  it('oaxe is the cheapest of all orders', () => {
    for (const { input, tokens, positions, price } of tinyRows) {
      const slots = Array.from({ length: Math.max(tokens.length, positions) }, (_, i) => i)
      const costs = permutations(slots).map((order) =>
        order.reduce((sum, token, j) => sum + (j < positions ? price(j, tokens[token] ?? 0) : Math.log(4)), 0),
      )
      expect(oaxeLoss(input)).toBeCloseTo(mean(Math.min(...costs), tokens), 12)
    }
  })

  it('ctc is the sum over all paths', () => {
    for (const { input, tokens, positions, price } of tinyRows) {
      let sum = 0
      for (let path = 0; path < 4 ** positions; path++) {
        const symbols = Array.from({ length: positions }, (_, j) => Math.floor(path / 4 ** j) % 4)
        const collapsed = symbols.filter((symbol, j) => symbol !== 0 && symbol !== symbols[j - 1])
        if (collapsed.join() === tokens.join()) sum += Math.exp(-symbols.reduce((cost, s, j) => cost + price(j, s), 0))
      }
      const expected = positions === 0 || sum === 0 ? 0 : mean(-Math.log(sum), tokens)
      expect(ctcLoss(input)).toBeCloseTo(expected, 12)
    }
  })

  it('the cheapest assignment of three to five', () => {
    const cost = [
      [4, 1, 3, 9, 2],
      [2, 0, 5, 9, 1],
      [3, 2, 2, 9, 1],
    ]
    const assigned = cheapestAssignment(3, 5, (i, j) => cost[i]?.[j] ?? 0)
    expect(assigned.reduce((sum, j, i) => sum + (cost[i]?.[j] ?? 0), 0)).toBe(4)
    expect(new Set(assigned).size).toBe(3)
  })
})

describe('all', () => {
  it('the mean over an empty set is 0', () => {
    const none = { logits: [], offsets: [0], targets: [], targetOffsets: [0], vocabulary: 4, blank: 0 }
    const empty = { ...none, offsets: [0, 0], targetOffsets: [0, 0] }
    for (const input of [none, empty]) {
      expect(literalReconLoss(input)).toBe(0)
      expect([axeLoss({ ...input, penalty: 1 }), oaxeLoss(input), ctcLoss(input)]).toEqual([0, 0, 0])
    }
    expect(literalCompressionLoss({ keepLogits: [], offsets: [0, 0], gate: [1], keepReduction: 0.2 })).toBe(0)
    expect([literalPointerLoss([], [0, 0]), literalGateLoss([], 1), literalLengthLoss([], [0, 0])]).toEqual([0, 0, 0])
  })
})
