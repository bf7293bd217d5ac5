// EditScores: how far two sets of edits of one draft agree: precision, recall and F, by tokens, words or deletions.

import { changesOf, tokenEditScript } from '../text/editScript.js'
import { type Figure, figureOf } from './figure.js'

/** One edit: what stands at `[start, end)` of the draft, counted in units, becomes the replacement. */
export interface UnitEdit {
  readonly start: number
  /** `start` for an insertion. */
  readonly end: number
  /** Empty for a deletion. */
  readonly replacement: Int32Array
}

/** How many decisions were made, how many should have been, and how many are in both. */
export interface Agreement {
  readonly matched: number
  /** Made by the model. */
  readonly proposed: number
  /** Made by the oracle. */
  readonly wanted: number
}

/** How well the model's edits are those of the oracle. */
export interface EditScores extends Agreement {
  /** Share of the model's edits that are the oracle's; n: the model's edits. */
  readonly precision: Figure
  /** Share of the oracle's edits that the model made; n: the oracle's edits. */
  readonly recall: Figure
  /** F with precision weighted twice as much as recall; n: different edits of either. */
  readonly f05: Figure
}

/** How well the deleter finds what the oracle deletes. */
export interface DeletionScores extends Agreement {
  /** n: tokens that the deleter gives up. */
  readonly precision: Figure
  /** n: tokens that the oracle deletes. */
  readonly recall: Figure
  /** n: tokens that either of them deletes. */
  readonly f1: Figure
  /** Tokens that were judged, the kept ones included. */
  readonly tokens: number
}

/**
 * The edits that lead from one row of units to another, left to right. Both rows are aligned as by the edit oracle: the
 * longest common subsequence, ties contiguous, then leftmost (`tokenEditScript`). Where k units stand against m new ones
 * between two matches, the first min(k, m) are replaced one for one, each an edit of its own; what is left over is one
 * more edit, a deletion or an insertion. So one missing full stop does not void the repair of the word before it.
 */
export function unitEdits(before: Int32Array, after: Int32Array): UnitEdit[] {
  return changesOf(tokenEditScript(before, after)).flatMap(({ start, end, tokens }) => {
    const pairs = Math.min(end - start, tokens.length)
    const edits: UnitEdit[] = Array.from({ length: pairs }, (_, index) => {
      return { start: start + index, end: start + index + 1, replacement: tokens.slice(index, index + 1) }
    })
    if (end - start === tokens.length) return edits
    return [...edits, { start: start + pairs, end, replacement: tokens.slice(pairs) }]
  })
}

/**
 * The model's edits (draft to result) against the oracle's (draft to target), as {@link unitEdits} of token ids. Two
 * edits match if start, end and replacement are equal; both scripts are made from the texts alone, so it does not matter
 * by which rounds a model got to its result.
 */
export function tokenEditAgreement(draft: Int32Array, result: Int32Array, target: Int32Array): Agreement {
  const wanted = unitEdits(draft, target)
  const proposed = unitEdits(draft, result)
  const keys = new Set(wanted.map(keyOf))
  const matched = proposed.filter((edit) => keys.has(keyOf(edit))).length
  return { matched, proposed: proposed.length, wanted: wanted.length }
}

/**
 * The same over words: a run of letters, marks and digits, apostrophes inside it included, is a word, and so is every
 * other sign alone. White space only parts words; a change of white space that parts nothing else is no edit.
 */
export function wordEditAgreement(draft: string, result: string, target: string): Agreement {
  const numbers = new Map<string, number>()
  const [a, b, c] = [draft, result, target].map((text) => wordIds(text, numbers))
  return tokenEditAgreement(a ?? none, b ?? none, c ?? none)
}

/**
 * The deleter's keep probabilities of a draft against the oracle's labels (1: keep, 0: delete). A token is given up where
 * its keep probability is not above the threshold (0..1).
 */
export function deletionAgreement(keep: ArrayLike<number>, labels: ArrayLike<number>, threshold: number): Agreement {
  const sum = { matched: 0, proposed: 0, wanted: 0 }
  for (let token = 0; token < keep.length; token++) {
    const isProposed = !((keep[token] ?? 0) > threshold)
    const isWanted = labels[token] === 0
    if (isProposed) sum.proposed++
    if (isWanted) sum.wanted++
    if (isProposed && isWanted) sum.matched++
  }
  return sum
}

/** Two agreements together. */
export function addAgreement(a: Agreement, b: Agreement): Agreement {
  return { matched: a.matched + b.matched, proposed: a.proposed + b.proposed, wanted: a.wanted + b.wanted }
}

/** Precision, recall and F0.5, over all edits at once (micro-averaged). */
export function editScores(agreement: Agreement): EditScores {
  return { ...agreement, ...precisionAndRecall(agreement), f05: fScore(agreement, 0.5) }
}

/** Precision, recall and F1, over all tokens at once. */
export function deletionScores(agreement: Agreement, tokens: number): DeletionScores {
  return { ...agreement, ...precisionAndRecall(agreement), f1: fScore(agreement, 1), tokens }
}

/** F: (1 + beta^2) P R / (beta^2 P + R), in counts so that no share is divided by 0; `null` without any decision. */
export function fScore({ matched, proposed, wanted }: Agreement, beta: number): Figure {
  const n = proposed + wanted - matched
  const weighted = (1 + beta * beta) * matched
  return { value: n === 0 ? null : weighted / (beta * beta * wanted + proposed), n }
}

function precisionAndRecall({ matched, proposed, wanted }: Agreement) {
  return { precision: figureOf(matched, proposed), recall: figureOf(matched, wanted) }
}

const none = new Int32Array()
const word = /[\p{L}\p{M}\p{N}]+(?:['\u2019][\p{L}\p{M}\p{N}]+)*|\S/gu

function wordIds(text: string, numbers: Map<string, number>): Int32Array {
  return Int32Array.from(text.match(word) ?? [], (found) => {
    const id = numbers.get(found) ?? numbers.size
    numbers.set(found, id)
    return id
  })
}

const keyOf = ({ start, end, replacement }: UnitEdit): string => `${start} ${end} ${replacement.join(' ')}`
