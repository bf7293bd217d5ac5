// Random, hints and errors: reproducible streams with fair statistics; closest keys; codes.
import { describe, expect, it } from 'vitest'
import { errorCodes, isMergeError, MergeError } from '../../src/errors.js'
import { closestKey, didYouMean } from '../../src/hint.js'
import { randomFrom } from '../../src/random.js'

const draws = (count: number, ...key: Parameters<typeof randomFrom>): number[] => {
  const random = randomFrom(...key)
  return Array.from({ length: count }, () => random.next())
}

describe('randomFrom', () => {
  it('is a function of seed, step, row and purpose', () => {
    expect(draws(5, 7, 1, 2, 'noise')).toEqual(draws(5, 7, 1, 2, 'noise'))
    const keys: Parameters<typeof randomFrom>[] = [
      [7, 1, 2, 'noise'],
      [8, 1, 2, 'noise'],
      [7, 2, 2, 'noise'],
      [7, 1, 3, 'noise'],
      [7, 2, 1, 'noise'],
      [7, 1, 2, 'nois'],
      [7, 1, 2],
      [-7, 1, 2, 'noise'],
      [7 + 2 ** 32, 1, 2, 'noise'],
    ]
    expect(new Set(keys.map((key) => draws(1, ...key)[0])).size).toBe(keys.length)
  })

  it('keeps its numbers from release to release', () => {
    expect(draws(3, 0)).toEqual([0.46453798508599187, 0.40513547550052054, 0.4593256081762831])
  })

  it('is uniform, in one stream and across neighbouring streams', () => {
    const streams = [draws(200_000, 3), Array.from({ length: 200_000 }, (_, row) => randomFrom(3, 5, row, 'x').next())]
    for (const values of streams) {
      const bins = new Array<number>(100).fill(0)
      let product = 0
      expect(values.every((value) => value >= 0 && value < 1)).toBe(true)
      values.forEach((value, i) => {
        const bin = Math.floor(value * 100)
        bins[bin] = (bins[bin] ?? 0) + 1
        product += (value - 0.5) * ((values[i - 1] ?? 0.5) - 0.5)
      })
      // 99 degrees of freedom: mean 99, standard deviation 14.
      const chiSquare = bins.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0)
      expect(chiSquare).toBeGreaterThan(45)
      expect(chiSquare).toBeLessThan(170)
      // Neighbours are uncorrelated: standard deviation 1/12/sqrt(n).
      expect(Math.abs(product / values.length)).toBeLessThan(5 / 12 / Math.sqrt(values.length))
    }
  })

  it('draws whole numbers without bias and shuffles fairly', () => {
    const random = randomFrom(11)
    const counts = [0, 0, 0]
    const firsts = [0, 0, 0, 0]
    for (let i = 0; i < 60_000; i++) {
      const value = random.integer(3)
      counts[value] = (counts[value] ?? 0) + 1
      const first = random.shuffle([0, 1, 2, 3])[0] ?? 0
      firsts[first] = (firsts[first] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 20_000)).toBeLessThan(600)
    for (const count of firsts) expect(Math.abs(count - 15_000)).toBeLessThan(550)
    expect(random.shuffle(['a', 'b', 'c']).sort()).toEqual(['a', 'b', 'c'])
    expect(random.pick(['only'])).toBe('only')
  })

  it('refuses what it cannot do', () => {
    const random = randomFrom(1)
    expect(() => random.integer(0)).toThrow(/expected a whole number from 1 to 2\^32, received 0/)
    expect(() => random.pick([])).toThrow(/expected at least one item/)
    expect(() => randomFrom(0.5)).toThrow('random seed: expected a safe integer, received 0.5')
  })
})

describe('hints', () => {
  it('finds the key that was meant, or none', () => {
    const keys = ['learningRate', 'batchSize', 'width', 'layers']
    expect(closestKey('learningrate', keys)).toBe('learningRate')
    expect(closestKey('lerningRate', keys)).toBe('learningRate')
    expect(closestKey('widht', keys)).toBe('width')
    expect(closestKey('colour', keys)).toBeUndefined()
    expect(closestKey('x', ['yz'])).toBeUndefined()
    expect(didYouMean('layer', keys)).toBe('; did you mean "layers"?')
    expect(didYouMean('zebra', keys)).toBe('')
  })
})

describe('MergeError', () => {
  it('carries code, cause and details', () => {
    const cause = new Error('inner')
    const error = new MergeError('ERR_INPUT', 'text: expected', { cause, details: { line: 3 } })
    expect(error).toMatchObject({ name: 'MergeError', code: 'ERR_INPUT', cause, details: { line: 3 } })
    expect(isMergeError(error, 'ERR_INPUT')).toBe(true)
    expect(isMergeError(error, 'ERR_SHAPE')).toBe(false)
    expect(isMergeError(cause)).toBe(false)
    expect('cause' in new MergeError('ERR_INTERNAL', 'x')).toBe(false)
    expect(new Set(errorCodes).size).toBe(10)
  })
})
