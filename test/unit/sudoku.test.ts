// The Sudoku example: all grids of 4 x 4, puzzles with one solution, rewards.
import { describe, expect, it } from 'vitest'
import { puzzleOf, randomGrid, solutions, unitsOf } from '../../examples/sudoku/grid.js'
import { dense, valid } from '../../examples/sudoku/reward.js'
import { randomFrom } from '../../src/random.js'

describe('grids', () => {
  it('there are 288 of 4 x 4', () => {
    const all = solutions('.'.repeat(16), 1000)
    expect(new Set(all).size).toBe(288)
    expect(all.every((grid) => valid(grid, grid) === 1)).toBe(true)
  })

  it('6 x 6 has rows, columns and boxes of six', () => {
    const units = unitsOf(6)
    expect(units).toHaveLength(18)
    expect(units[12]).toEqual([0, 1, 2, 6, 7, 8])
    expect(units[17]).toEqual([27, 28, 29, 33, 34, 35])
  })

  it.each([4, 6] as const)('a puzzle of %i x %i has its grid as the one solution', (size) => {
    for (let draw = 0; draw < 20; draw++) {
      const random = randomFrom(draw)
      const grid = randomGrid(size, random)
      const puzzle = puzzleOf(grid, size, random)
      expect(solutions(puzzle, 9)).toEqual([grid])
      expect(puzzle).toContain('.')
    }
  })

  it('no solution where the givens contradict each other', () => {
    expect(solutions(`11${'.'.repeat(14)}`, 9)).toEqual([])
  })
})

describe('rewards', () => {
  const grid = '1234341221434321'
  const puzzle = '1..434....43..21'

  it('valid: a solution of the puzzle, and nothing else', () => {
    expect(valid(puzzle, grid)).toBe(1)
    expect(valid(puzzle, `2${grid.slice(1)}`)).toBe(0)
    expect(valid(`2${puzzle.slice(1)}`, grid)).toBe(0)
    expect(valid(puzzle, grid.slice(1))).toBe(0)
    expect(valid(puzzle, '1'.repeat(16))).toBe(0)
  })

  it('dense: the share of units that are right, times the share of givens that stand', () => {
    expect(dense(puzzle, grid)).toBe(1)
    // One cell wrong: its row, column and box.
    expect(dense(puzzle, grid.replace('12', '13'))).toBeCloseTo(9 / 12, 12)
    expect(dense(`2${puzzle.slice(1)}`, grid)).toBeCloseTo(7 / 8, 12)
    expect(dense(puzzle, '')).toBe(0)
  })
})
