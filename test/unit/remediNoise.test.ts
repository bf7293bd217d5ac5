// Noise of Remask-SFT: fewer wrong than masked tokens in 10^5 blocks, the right shares, wrong tokens that are wrong.
import { describe, expect, it } from 'vitest'
import { randomFrom } from '../../src/random.js'
import { drawFates, drawOther, fate, type NoiseOptions, noisyCopy, padAnswer } from '../../src/remedi/noise.js'

const draws = 100_000
const count = (fates: Uint8Array, what: number) => fates.filter((value) => value === what).length

function violations(monotone: NoiseOptions['monotone'], length: number): number {
  const random = randomFrom(3, 0, 0, monotone)
  let broken = 0
  for (let draw = 0; draw < draws; draw++) {
    const fates = drawFates(length, { monotone, wrongRatio: 0.1 }, random)
    if (count(fates, fate.wrong) >= count(fates, fate.masked)) broken++
  }
  return broken / draws
}

describe('drawFates', () => {
  it('#wrong < #masked in every one of 10^5 blocks', () => {
    expect(violations('enforce', 32)).toBe(0)
    expect(violations('reject', 32)).toBe(0)
  })

  it('as released it is violated in about 5 % of blocks', () => {
    const share = violations('bernoulli', 32)
    expect(share).toBeGreaterThan(0.03)
    expect(share).toBeLessThan(0.08)
  })

  it('any number of masks from 1 to all is as likely as another', () => {
    const random = randomFrom(1)
    const seen = new Map<number, number>()
    for (let draw = 0; draw < 20_000; draw++) {
      const masked = count(drawFates(8, { monotone: 'enforce', wrongRatio: 0 }, random), fate.masked)
      seen.set(masked, (seen.get(masked) ?? 0) + 1)
    }
    // 0 and 1 fall together.
    const shares = [...Array(8).keys()].map((index) => (seen.get(index + 1) ?? 0) / 20_000)
    shares.forEach((share, index) => {
      expect(share).toBeCloseTo(index === 0 ? 2 / 9 : 1 / 9, 1.5)
    })
    expect([...seen.keys()].every((masked) => masked >= 1 && masked <= 8)).toBe(true)
  })

  it('about 4 r t (1 - t) of the visible tokens are wrong, none where r is 0', () => {
    const random = randomFrom(2)
    let wrong = 0
    let none = 0
    for (let draw = 0; draw < 20_000; draw++) {
      wrong += count(drawFates(32, { monotone: 'bernoulli', wrongRatio: 0.1 }, random), fate.wrong)
      none += count(drawFates(32, { monotone: 'enforce', wrongRatio: 0 }, random), fate.wrong)
    }
    // E[(1 - t) 4 r t (1 - t)] = 4 r / 12
    expect(wrong / 20_000 / 32).toBeCloseTo(0.4 / 12, 3)
    expect(none).toBe(0)
  })

  it('so many blocks have no mask as the option says, with a wrong token in most of those at r = .25', () => {
    const random = randomFrom(4)
    const options = { monotone: 'enforce', wrongRatio: 0.25, maskFree: 0.2 } as const
    const blocks = Array.from({ length: 20_000 }, () => drawFates(16, options, random))
    const free = blocks.filter((fates) => count(fates, fate.masked) === 0)
    expect(free.length / blocks.length).toBeCloseTo(0.2, 1.5)
    // E[4 r t (1 - t)] = 4 r / 6
    const wrong = free.reduce((sum, fates) => sum + count(fates, fate.wrong), 0)
    expect(wrong / free.length / 16).toBeCloseTo(1 / 6, 1.5)
  })
})

describe('noisyCopy', () => {
  const mask = 3
  const clean = Int32Array.from({ length: 64 }, (_, index) => 5 + (index % 7))

  it('changes nothing but masked and wrong positions, and a wrong token is never the original', () => {
    let wrongs = 0
    for (let row = 0; row < 500; row++) {
      const noisy = noisyCopy(
        clean,
        {
          blockLength: 16,
          mask,
          monotone: 'enforce',
          wrongRatio: 0.25,
          wrongToken: (original, draw) => drawOther(clean, original, draw),
        },
        randomFrom(1, 0, row),
      )
      for (let block = 0; block < 64; block += 16) {
        const part = noisy.subarray(block, block + 16)
        const masked = part.filter((token) => token === mask).length
        const wrong = part.filter((token, index) => token !== mask && token !== clean[block + index]).length
        expect(wrong).toBeLessThan(masked)
        wrongs += wrong
      }
      expect(noisy.every((token) => token === mask || clean.includes(token))).toBe(true)
    }
    expect(wrongs).toBeGreaterThan(1000)
  })

  it('leaves a position alone where no other token is known', () => {
    const noisy = noisyCopy(
      clean,
      { blockLength: 32, mask, monotone: 'bernoulli', wrongRatio: 1, wrongToken: () => undefined },
      randomFrom(1),
    )
    expect(noisy.every((token, index) => token === mask || token === clean[index])).toBe(true)
  })
})

describe('drawOther', () => {
  it('follows the frequencies, without the original', () => {
    const random = randomFrom(1)
    const tokens = Int32Array.from([5, 5, 5, 6, 7, 7])
    const seen = [0, 0, 0]
    for (let draw = 0; draw < 30_000; draw++) {
      const place = (drawOther(tokens, 5, random) ?? 0) - 5
      seen[place] = (seen[place] ?? 0) + 1
    }
    expect(seen[0]).toBe(0)
    expect((seen[1] ?? 0) / 30_000).toBeCloseTo(1 / 3, 1.5)
  })

  it('finds the one other token, and says where there is none', () => {
    const tokens = new Int32Array(5000).fill(9)
    expect(drawOther(tokens, 9, randomFrom(1))).toBeUndefined()
    tokens[77] = 4
    expect(drawOther(tokens, 9, randomFrom(1))).toBe(4)
    expect(drawOther(new Int32Array(0), 9, randomFrom(1))).toBeUndefined()
  })
})

describe('padAnswer', () => {
  const eos = 2
  it.each([
    [0, false, 4],
    [3, false, 4],
    [4, false, 4],
    [4, true, 8],
    [5, true, 8],
  ])('%i tokens, at least one end-of-text %s: %i', (length, atLeastOne, padded) => {
    const answer = new Int32Array(length).fill(7)
    const row = padAnswer(answer, { blockLength: 4, eos, atLeastOne })
    expect([...row]).toEqual([...answer, ...new Array(padded - length).fill(eos)])
  })
})
