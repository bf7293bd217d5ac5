// Random: counter-based random numbers; the n-th draw is a pure function of (seed, step, row, purpose, n).
//
// No generator state is shared or saved: a run that resumes at step 500 draws what the uninterrupted run drew there.
// Mixing: the 32-bit finalizer "lowbias32" (https://nullprogram.com/blog/2018/07/31/) over a 64-bit key and a Weyl
// counter. Good for sampling data and noise; not for secrets.

import { MergeError } from './errors.js'

/** A stream of random numbers. */
export interface Random {
  /** The next number in [0, 1), with 53 random bits. */
  next(): number
  /** The next whole number in [0, n), without bias. n: 1 to 2^32. */
  integer(n: number): number
  /** One of the items; refuses an empty list. */
  pick<T>(items: readonly T[]): T
  /** A shuffled copy. */
  shuffle<T>(items: readonly T[]): T[]
}

/**
 * The stream that belongs to a seed (any safe integer), an optimizer step, a row of the batch and a purpose.
 *
 * @example
 * const random = randomFrom(7, step, row, 'corruption')
 */
export function randomFrom(seed: number, step = 0, row = 0, purpose = ''): Random {
  const words = [...halves('seed', seed), ...halves('step', step), ...halves('row', row)]
  for (let i = 0; i < purpose.length; i++) words.push(purpose.charCodeAt(i))
  const key0 = absorb(0x243f6a88, words)
  const key1 = absorb(0x85a308d3, words)
  let counter = 0

  const draw = (): number => {
    counter = (counter + 1) | 0
    return mix(mix((Math.imul(counter, 0x9e3779b9) + key0) | 0) ^ key1)
  }
  const next = (): number => ((draw() >>> 5) * 0x4000000 + (draw() >>> 6)) / 0x20000000000000
  const integer = (n: number): number => {
    if (!Number.isInteger(n) || n < 1 || n > 0x100000000) {
      throw new MergeError('ERR_INPUT', `random.integer: expected a whole number from 1 to 2^32, received ${n}`)
    }
    // Values past the last whole multiple of n would favour small results.
    const limit = 0x100000000 - (0x100000000 % n)
    for (;;) {
      const value = draw() >>> 0
      if (value < limit) return value % n
    }
  }
  return {
    next,
    integer,
    pick(items) {
      if (items.length === 0)
        throw new MergeError('ERR_INPUT', 'random.pick: expected at least one item, received none')
      return itemAt(items, integer(items.length))
    },
    shuffle(items) {
      const order = Uint32Array.from(items.keys())
      for (let i = order.length - 1; i > 0; i--) {
        const j = integer(i + 1)
        const moved = order[i] ?? 0
        order[i] = order[j] ?? 0
        order[j] = moved
      }
      return Array.from(order, (index) => itemAt(items, index))
    },
  }
}

function itemAt<T>(items: readonly T[], index: number): T {
  for (const item of items.slice(index, index + 1)) return item
  throw new MergeError('ERR_INTERNAL', `random: no item ${index} in a list of ${items.length}`)
}

/** One absorbing pass over 32-bit words, order-sensitive. */
function absorb(start: number, words: readonly number[]): number {
  let state = start
  for (const word of words) state = mix((state ^ word) + Math.imul(word, 0x27d4eb2d) + 0x165667b1)
  return mix(state ^ words.length)
}

/** The finalizer: a bijection on 32 bits. */
function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return x ^ (x >>> 16)
}

/** Low and high 32 bits of a safe integer. */
function halves(name: string, value: number): [number, number] {
  if (!Number.isSafeInteger(value)) {
    throw new MergeError('ERR_INPUT', `random ${name}: expected a safe integer, received ${value}`)
  }
  return [value | 0, Math.floor(value / 0x100000000) | 0]
}

/** FNV-1a over ids, 0..2^32 - 1: a key by which the same prompt draws the same numbers in any batch. */
export function hashOf(ids: Int32Array): number {
  let hash = 0x811c9dc5
  for (const id of ids) hash = Math.imul(hash ^ id, 0x01000193)
  return hash >>> 0
}
