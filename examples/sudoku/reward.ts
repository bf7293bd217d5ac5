// Rewards of a Sudoku's solution, which need no answer: whether it is valid, or how much of it is.

import { sizeOf, unitsOf } from './grid.js'

/** 1 where the completion solves the puzzle: every given digit stands, every row, column and box has each digit; else 0. */
export function valid(puzzle: string, completion: string): number {
  return dense(puzzle, completion) === 1 ? 1 : 0
}

/** The share of rows, columns and boxes that have each digit, times the share of given digits that stand (0..1). */
export function dense(puzzle: string, completion: string): number {
  const size = sizeOf(puzzle)
  if (size === undefined || completion.length !== puzzle.length) return 0
  const units = unitsOf(size)
  const right = units.filter((unit) => {
    const digits = new Set(unit.map((cell) => Number(completion[cell])))
    return digits.size === size && [...digits].every((digit) => digit >= 1 && digit <= size)
  })
  const givens = [...puzzle].flatMap((digit, cell) => (digit === '.' ? [] : [completion[cell] === digit]))
  const kept = givens.filter((isKept) => isKept).length
  return (right.length / units.length) * (givens.length === 0 ? 1 : kept / givens.length)
}
