// Sudoku grids as texts of digits, row by row, "." for an empty cell: 4 x 4 with 2 x 2 boxes, 6 x 6 with 2 x 3 boxes.

import type { Random } from 'merge-lm'

/** Rows, columns and digits of a grid. */
export type Size = 4 | 6

/** The cells of each row, column and box. */
export function unitsOf(size: Size): readonly (readonly number[])[] {
  const cells = [...Array(size * size).keys()]
  const columnsOfBox = size === 4 ? 2 : 3
  const boxOf = (cell: number): number => {
    const [row, column] = [Math.floor(cell / size), cell % size]
    return Math.floor(row / 2) * (size / columnsOfBox) + Math.floor(column / columnsOfBox)
  }
  const grouped = (groupOf: (cell: number) => number): number[][] =>
    Array.from({ length: size }, (_, group) => cells.filter((cell) => groupOf(cell) === group))
  return [...grouped((cell) => Math.floor(cell / size)), ...grouped((cell) => cell % size), ...grouped(boxOf)]
}

/** The size of a grid or puzzle; `undefined` of any other text. */
export function sizeOf(text: string): Size | undefined {
  return text.length === 16 ? 4 : text.length === 36 ? 6 : undefined
}

/** Solutions of a puzzle, at most `most`, found by backtracking; `random` tries the digits in another order. */
export function solutions(puzzle: string, most: number, random?: Random): string[] {
  const size = sizeOf(puzzle)
  if (size === undefined) return []
  const units = unitsOf(size)
  const peers = [...puzzle].map((_, cell) => new Set(units.filter((unit) => unit.includes(cell)).flat()))
  const digits = Array.from({ length: size }, (_, index) => String(index + 1))
  const grid = [...puzzle]
  const found: string[] = []
  const search = (): void => {
    // The cell with the fewest digits left; none is left empty by a grid that is done.
    let best: { cell: number; open: string[] } | undefined
    for (const [cell, digit] of grid.entries()) {
      if (digit !== '.') continue
      const taken = new Set([...(peers[cell] ?? [])].map((peer) => grid[peer]))
      const open = digits.filter((other) => !taken.has(other))
      if (best === undefined || open.length < best.open.length) best = { cell, open }
    }
    if (best === undefined) {
      found.push(grid.join(''))
      return
    }
    for (const digit of random?.shuffle(best.open) ?? best.open) {
      grid[best.cell] = digit
      search()
      if (found.length >= most) return
    }
    grid[best.cell] = '.'
  }
  if (isConsistent(puzzle, units)) search()
  return found
}

/** A solved grid. */
export function randomGrid(size: Size, random: Random): string {
  return solutions('.'.repeat(size * size), 1, random)[0] ?? ''
}

/** A puzzle with one solution, this grid: cells are emptied in random order while that holds, down to `givens` digits. */
export function puzzleOf(grid: string, givens: number, random: Random): string {
  const cells = [...grid]
  let left = cells.length
  for (const cell of random.shuffle([...cells.keys()])) {
    if (left <= givens) break
    const digit = cells[cell] ?? '.'
    cells[cell] = '.'
    if (solutions(cells.join(''), 2).length === 1) left--
    else cells[cell] = digit
  }
  return cells.join('')
}

function isConsistent(puzzle: string, units: readonly (readonly number[])[]): boolean {
  return units.every((unit) => {
    const digits = unit.map((cell) => puzzle[cell]).filter((digit) => digit !== '.')
    return new Set(digits).size === digits.length
  })
}
