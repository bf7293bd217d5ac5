// pacedSort: numbers in ascending order, without holding the event loop; a merge sort over short sorted runs.

import { pace } from './pace.js'

/** Sorted at once: about a millisecond. */
const runLength = 8192

/** A sorted copy. NaN is not taken. */
export async function pacedSort(values: ArrayLike<number>): Promise<Float64Array> {
  const breathe = pace()
  let sorted = new Float64Array(values.length)
  let spare = new Float64Array(values.length)
  for (let start = 0; start < values.length; start += runLength) {
    await breathe()
    const end = Math.min(values.length, start + runLength)
    for (let index = start; index < end; index++) sorted[index] = values[index] ?? 0
    sorted.subarray(start, end).sort()
  }
  for (let width = runLength; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      const middle = Math.min(values.length, start + width)
      const end = Math.min(values.length, start + 2 * width)
      let left = start
      let right = middle
      for (let index = start; index < end; index++) {
        if (index % runLength === 0) await breathe()
        const takesLeft = right >= end || (left < middle && (sorted[left] ?? 0) <= (sorted[right] ?? 0))
        spare[index] = (takesLeft ? sorted[left++] : sorted[right++]) ?? 0
      }
    }
    ;[sorted, spare] = [spare, sorted]
  }
  return sorted
}
