// The policy of Remask-RL by brute force: all orders of a set, all sets, sampled frequencies, clipping, advantages.
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../../src/random.js'
import { advantages, bernoulliSet, clippedLoss, plackettLuce, samplePlackettLuce } from '../../src/remedi/policy.js'

function* orders(items: readonly number[], k: number): Generator<number[]> {
  if (k === 0) yield []
  else
    for (const item of items)
      for (const rest of orders(
        items.filter((other) => other !== item),
        k - 1,
      ))
        yield [item, ...rest]
}
const positions = (length: number) => [...Array(length).keys()]

describe('plackettLuce', () => {
  const scores = [0.3, -1.2, 2.5, 0, 1]

  it.each([0, 1, 2, 3, 4, 5])('the probabilities of all orders of %i of 5 positions sum to 1', (k) => {
    const sum = [...orders(positions(5), k)].reduce((total, order) => total + Math.exp(plackettLuce(scores, order)), 0)
    expect(sum).toBeCloseTo(1, 12)
  })

  it('is a product of softmaxes over what is left', () => {
    const e = scores.map(Math.exp)
    const sum = e.reduce((a, b) => a + b, 0)
    const [first = 0, second = 0] = [e[2], e[0]]
    expect(plackettLuce(scores, [2, 0])).toBeCloseTo(Math.log((first / sum) * (second / (sum - first))), 12)
  })

  it('stays exact for scores that no exponential holds', () => {
    expect(plackettLuce([2000, 1000, -3000], [0, 1])).toBe(0)
    expect(plackettLuce([2000, 1000, -3000], [2])).toBe(-5000)
    expect(plackettLuce([0, 800], [0, 1])).toBe(-800)
  })

  it('does not move when all scores do', () => {
    expect(
      plackettLuce(
        scores.map((score) => score + 40),
        [3, 1, 0],
      ),
    ).toBeCloseTo(plackettLuce(scores, [3, 1, 0]), 10)
  })

  it('the sampler draws orders as often as it says', () => {
    const random = randomFrom(5)
    const uniform = () => random.next() + 0.5 / 2 ** 53
    const seen = new Map<string, number>()
    const draws = 60_000
    for (let draw = 0; draw < draws; draw++) {
      const key = samplePlackettLuce(scores.slice(0, 4), 2, uniform).join()
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
    for (const order of orders(positions(4), 2)) {
      const expected = Math.exp(plackettLuce(scores.slice(0, 4), order))
      expect(Math.abs((seen.get(order.join()) ?? 0) / draws - expected)).toBeLessThan(0.01)
    }
  })
})

describe('bernoulliSet', () => {
  it('the probabilities of all sets sum to 1', () => {
    const scores = [0.3, -1.2, 2.5, 700]
    let sum = 0
    for (let bits = 0; bits < 16; bits++) {
      sum += Math.exp(bernoulliSet(scores, new Set(positions(4).filter((at) => bits & (1 << at)))))
    }
    expect(sum).toBeCloseTo(1, 12)
  })
})

describe('clippedLoss', () => {
  it.each([
    [1.1, 1, -1.1],
    [1.5, 1, -1.2],
    [0.5, 1, -0.5],
    [0.5, -1, 0.8],
    [1.5, -1, 1.5],
    [1, 2, -2],
  ])('ratio %d, advantage %d: %d', (ratio, advantage, loss) => {
    expect(clippedLoss(Math.log(ratio) - 3, -3, advantage, 0.2)).toBeCloseTo(loss, 12)
  })
})

describe('advantages', () => {
  it('compares within a group, and skips one without variance', () => {
    const found = advantages([1, 0, 0, 1, 0.1 + 0.2, 0.3, 0.3, 0.3], 4)
    const one = 0.5 / (0.5 + 1e-4)
    expect(found.slice(0, 4)).toEqual([one, -one, -one, one])
    expect(found.slice(4)).toEqual([undefined, undefined, undefined, undefined])
  })
})
