// Ragged rows, packed: tokens of all rows in one array plus offsets. Mirrors native/rows.h.

import type { NativeRows } from './native.js'

/** Packs rows one behind the other. */
export function packRows(rows: readonly Int32Array[]): NativeRows {
  const offsets = new Int32Array(rows.length + 1)
  rows.forEach((row, index) => {
    offsets[index + 1] = (offsets[index] ?? 0) + row.length
  })
  const tokens = new Int32Array(offsets[rows.length] ?? 0)
  rows.forEach((row, index) => {
    tokens.set(row, offsets[index])
  })
  return { tokens, offsets }
}

/** Where row `row` begins and ends among the packed tokens. */
export function rowRange(rows: Pick<NativeRows, 'offsets'>, row: number): [start: number, end: number] {
  return [rows.offsets[row] ?? 0, rows.offsets[row + 1] ?? 0]
}

/** Joins flags of several rows. */
export function packFlags(rows: readonly Uint8Array[]): Uint8Array {
  const packed = new Uint8Array(rows.reduce((sum, row) => sum + row.length, 0))
  let start = 0
  for (const row of rows) {
    packed.set(row, start)
    start += row.length
  }
  return packed
}
