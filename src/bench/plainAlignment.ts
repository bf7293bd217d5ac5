// plainAlignment: the edit oracle as a plain dynamic programme, the slow twin that the native one is timed against.

import { randomFrom } from '../random.js'

/** For each token of X its partner in Y, or -1: a longest common subsequence, whichever it finds among equal ones. */
export function plainMatches(x: Int32Array, y: Int32Array): Int32Array {
  const stride = y.length + 1
  const common = new Int32Array((x.length + 1) * stride)
  const at = (index: number): number => common[index] ?? 0
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      const here = i * stride + j
      common[here] = x[i] === y[j] ? at(here + stride + 1) + 1 : Math.max(at(here + stride), at(here + 1))
    }
  }
  const matches = new Int32Array(x.length).fill(-1)
  for (let i = 0, j = 0; i < x.length && j < y.length; ) {
    const here = i * stride + j
    if (x[i] === y[j]) matches[i++] = j++
    else if (at(here + stride) >= at(here + 1)) i++
    else j++
  }
  return matches
}

/** How many tokens have a partner. */
export function matched(matches: ArrayLike<number>): number {
  return Array.from(matches).reduce((count, j) => count + (j >= 0 ? 1 : 0), 0)
}

/** What pairs are made of. */
export interface PairOptions {
  readonly rows: number
  readonly length: number
  /** Different tokens. */
  readonly symbols: number
  /** Share (0..1) of tokens that are changed; every tenth change is a loss, every tenth a gain. 1: nothing is alike. */
  readonly changed: number
}

/** Rows and what they should become. */
export function alignmentPairs({ rows, length, symbols, changed }: PairOptions): { x: Int32Array; y: Int32Array }[] {
  const random = randomFrom(1, 0, 0, `oracle bench ${symbols} ${changed}`)
  return Array.from({ length: rows }, () => {
    const y = Int32Array.from({ length }, () => random.integer(symbols))
    const x: number[] = []
    for (const token of y) {
      if (random.next() >= changed) x.push(token)
      else if (random.next() < 0.8) x.push(random.integer(symbols))
      else if (random.next() < 0.5) x.push(token, random.integer(symbols))
    }
    while (x.length < length) x.push(random.integer(symbols))
    return { x: Int32Array.from(x.slice(0, length)), y }
  })
}
