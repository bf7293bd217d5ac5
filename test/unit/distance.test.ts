// Edit distance against the textbook table.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editDistance, sameTokens } from '../../src/merge/distance.js'

function reference(a: readonly number[], b: readonly number[]): number {
  let previous = b.map((_, j) => j + 1)
  let corner = 0
  a.forEach((x, i) => {
    const row: number[] = []
    let diagonal = corner
    let left = i + 1
    b.forEach((y, j) => {
      const above = previous[j] ?? 0
      left = Math.min(diagonal + (x === y ? 0 : 1), above + 1, left + 1)
      diagonal = above
      row.push(left)
    })
    previous = row
    corner = i + 1
  })
  return b.length === 0 ? a.length : (previous[b.length - 1] ?? 0)
}

const row = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 14 })

describe('editDistance', () => {
  it('equals the textbook table, cut at the cap', () => {
    fc.assert(
      fc.property(row, row, fc.integer({ min: 0, max: 16 }), (a, b, cap) => {
        const expected = reference(a, b)
        const [left, right] = [Int32Array.from(a), Int32Array.from(b)]
        return editDistance(left, right) === expected && editDistance(left, right, cap) === Math.min(cap, expected)
      }),
      { numRuns: 5000 },
    )
  })

  it('is 0 only for equal rows', () => {
    fc.assert(
      fc.property(row, row, (a, b) => {
        const [left, right] = [Int32Array.from(a), Int32Array.from(b)]
        return sameTokens(left, right) === (editDistance(left, right, 1) === 0)
      }),
    )
  })

  it('answers at once where the cap is small', () => {
    const a = Int32Array.from({ length: 20_000 }, (_, i) => i)
    const b = Int32Array.from({ length: 20_000 }, (_, i) => -i - 1)
    const start = performance.now()
    expect(editDistance(a, b, 2)).toBe(2)
    expect(performance.now() - start).toBeLessThan(50)
  })
})
