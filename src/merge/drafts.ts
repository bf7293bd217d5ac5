// Drafts: what a training row starts from, drawn by shares (H28); a pure function of the example and its random numbers.

import type { DraftShares } from '../config.js'
import type { Random } from '../random.js'

/** The kinds of draft. */
export type DraftKind = keyof DraftShares

/** An example as tokens; `source` where it has a draft of its own. */
export interface DraftExample {
  readonly target: Int32Array
  readonly source?: Int32Array | undefined
}

/** What drafts may consist of. */
export interface DraftLimits {
  /** Most tokens of a draft; noise never makes one longer. */
  readonly maxLength: number
  /** An ordinary token that noise may put in, by a random draw; `undefined` where there is none. */
  readonly randomToken: (random: Random) => number | undefined
}

/** The kind of a row's draft. An example without a draft of its own leaves out `task`; if nothing else has a share: `noised`. */
export function drawKind(shares: DraftShares, example: DraftExample, random: Random): DraftKind {
  const kinds = draftKinds.filter((kind) => kind !== 'task' || example.source !== undefined)
  const total = kinds.reduce((sum, kind) => sum + shares[kind], 0)
  let rest = random.next() * total
  for (const kind of kinds) {
    if (rest < shares[kind]) return kind
    rest -= shares[kind]
  }
  return 'noised'
}

/** A draft of this kind for the example. */
export function makeDraft(kind: DraftKind, example: DraftExample, limits: DraftLimits, random: Random): Int32Array {
  const { target } = example
  switch (kind) {
    case 'task':
      return example.source ?? target
    case 'noised':
      return noised(target, limits, random)
    case 'subsequence':
      return subsequence(target, random)
    case 'empty':
      return new Int32Array(0)
    case 'fragment':
      return fragment(target, random)
    case 'finished':
      return target
    default:
      return kind satisfies never
  }
}

const draftKinds = [
  'task',
  'noised',
  'subsequence',
  'empty',
  'fragment',
  'finished',
] as const satisfies readonly DraftKind[]

// Each token stays with the same probability, drawn once for the row from U(0, 1).
function subsequence(target: Int32Array, random: Random): Int32Array {
  const keepRate = random.next()
  return target.filter(() => random.next() < keepRate)
}

// Decision: H28. One contiguous piece alone, to be continued, or everything but that piece, to be filled in; half each.
function fragment(target: Int32Array, random: Random): Int32Array {
  if (target.length === 0) return target
  const length = 1 + random.integer(target.length)
  const start = random.integer(target.length - length + 1)
  const isInside = (_: number, index: number): boolean => index >= start && index < start + length
  return random.next() < 0.5 ? target.filter(isInside) : target.filter((token, index) => !isInside(token, index))
}

const noises = ['substitute', 'delete', 'insert', 'swap', 'move'] as const
const leastNoise = 0.05
const mostNoise = 0.4
const longestMove = 4

// As many random changes as 5-40 % of the tokens, one after the other, at least one.
function noised(target: Int32Array, limits: DraftLimits, random: Random): Int32Array {
  const rate = leastNoise + (mostNoise - leastNoise) * random.next()
  const changes = Math.max(1, Math.round(rate * target.length))
  const tokens = [...target]
  for (let change = 0; change < changes; change++) {
    // Only an insertion is possible where nothing is left.
    changeOnce(tokens, tokens.length === 0 ? 'insert' : random.pick(noises), limits, random)
  }
  return Int32Array.from(tokens)
}

function changeOnce(tokens: number[], noise: (typeof noises)[number], limits: DraftLimits, random: Random): void {
  const at = random.integer(Math.max(1, tokens.length))
  switch (noise) {
    case 'substitute':
      put(tokens, at, 1, limits.randomToken(random))
      break
    case 'delete':
      tokens.splice(at, 1)
      break
    case 'insert':
      if (tokens.length < limits.maxLength)
        put(tokens, random.integer(tokens.length + 1), 0, limits.randomToken(random))
      break
    case 'swap':
      tokens.splice(at, 2, ...tokens.slice(at, at + 2).reverse())
      break
    case 'move': {
      const span = tokens.splice(at, 1 + random.integer(longestMove))
      tokens.splice(random.integer(tokens.length + 1), 0, ...span)
      break
    }
    default:
      noise satisfies never
  }
}

function put(tokens: number[], at: number, instead: number, token: number | undefined): void {
  if (token !== undefined) tokens.splice(at, instead, token)
}
