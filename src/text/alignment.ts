// alignTokens: the longest common subsequence of two rows of ids; ties prefer contiguous, then leftmost matches.
//
// The dynamic program runs in a band of diagonals that widens until every optimal path lies inside it
// (Ukkonen 1985), so near-equal rows cost O(n * edits) and the answer is the same as without a band.

import { MergeError } from '../errors.js'

/** Longest row that {@link alignTokens} takes, in tokens. */
export const maxAlignmentLength = 32_767

/** Most cells of the dynamic program, one byte each: enough for 10,000 units a side with nothing in common. */
const maxCells = 210_000_000

/** Above every possible number of contiguous pairs, so that the length of the match decides first. */
const lengthWeight = maxAlignmentLength + 1

const match = 0
const skipB = 1
const skipA = 2
/** Set where the token after a match is matched too. */
const contiguous = 4

/** For each position of `a` the position of `b` it is matched with, or -1; increasing where matched. */
export function alignTokens(a: Int32Array, b: Int32Array): Int32Array {
  const longest = Math.max(a.length, b.length)
  if (longest > maxAlignmentLength) {
    throw new MergeError(
      'ERR_INPUT',
      `edit script: expected at most ${maxAlignmentLength} units a side, received ${longest}`,
    )
  }
  // At least this many are skipped, so a narrower band cannot be enough.
  const least = Math.ceil((fewestSkips(a, b) - Math.abs(a.length - b.length)) / 2)
  for (let margin = Math.max(16, least); ; margin *= 4) {
    const found = alignInBand(a, b, margin)
    if (found !== undefined) return found
  }
}

/** Skips that remain even if the order of the tokens were free. */
function fewestSkips(a: Int32Array, b: Int32Array): number {
  const surplus = new Map<number, number>()
  for (const token of a) surplus.set(token, (surplus.get(token) ?? 0) + 1)
  for (const token of b) surplus.set(token, (surplus.get(token) ?? 0) - 1)
  let skips = 0
  for (const count of surplus.values()) skips += Math.abs(count)
  return skips
}

/** The alignment, or nothing if an optimal path may leave the band. */
function alignInBand(a: Int32Array, b: Int32Array, margin: number): Int32Array | undefined {
  const n = a.length
  const m = b.length
  // Diagonal j - i runs from 0 to m - n; the band reaches `margin` beyond both.
  const low = Math.max(-n, Math.min(0, m - n) - margin)
  const width = Math.min(m, Math.max(0, m - n) + margin) - low + 1
  if ((n + 1) * width > maxCells) {
    throw new MergeError(
      'ERR_INPUT',
      `edit script: ${n} and ${m} units differ too much to be aligned in ${maxCells} cells`,
    )
  }
  const none = -1_000_000_000
  const best = new Int32Array(width).fill(none)
  const bestMatched = new Int32Array(width).fill(none)
  const choices = new Uint8Array((n + 1) * width)

  // 1) scores of suffixes, last row first; cell (i, j) lives at column j - i - low
  for (let i = n; i >= 0; i--) {
    const first = Math.max(0, i + low)
    for (let j = Math.min(m, i + low + width - 1); j >= first; j--) {
      const column = j - i - low
      if (i === n || j === m) {
        best[column] = 0
        bestMatched[column] = none
        choices[i * width + column] = i === n ? skipB : skipA
        continue
      }
      let matched = none
      let choice = match
      if (a[i] === b[j]) {
        const rest = best[column] ?? none
        const restMatched = (bestMatched[column] ?? none) + 1
        if (restMatched >= rest) choice = contiguous
        matched = lengthWeight + Math.max(rest, restMatched)
      }
      const withoutA = column > 0 ? (best[column - 1] ?? none) : none
      const withoutB = column + 1 < width ? (best[column + 1] ?? none) : none
      if (matched < withoutA || matched < withoutB) choice |= withoutB >= withoutA ? skipB : skipA
      best[column] = Math.max(matched, withoutA, withoutB)
      bestMatched[column] = matched
      choices[i * width + column] = choice
    }
  }

  // 2) does every optimal path lie inside? One that leaves costs at least two skips more than this
  const common = Math.floor((best[-low] ?? none) / lengthWeight)
  const skips = n + m - 2 * common
  const covered = low === -n && width === n + m + 1
  if (!covered && skips > Math.abs(m - n) + 2 * margin) return undefined

  // 3) walk along the choices
  const matches = new Int32Array(n).fill(-1)
  let forced = false
  for (let i = 0, j = 0; i < n && j < m; ) {
    const choice = choices[i * width + (j - i - low)] ?? match
    const step = forced ? match : choice & 3
    forced = false
    if (step === match) {
      matches[i] = j
      forced = (choice & contiguous) !== 0
      i++
      j++
    } else if (step === skipB) j++
    else i++
  }
  return matches
}
