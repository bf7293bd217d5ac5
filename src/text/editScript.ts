// editScript: what changed between two texts, with offsets; applyEdits(a, editScript(a, b)) === b.

import { MergeError } from '../errors.js'
import { alignTokens } from './alignment.js'

/** What an edit does with a stretch of the text before. */
export type EditKind = 'keep' | 'delete' | 'insert' | 'replace'

/** A stretch of two texts. All offsets are UTF-16 units; an edit never cuts a grapheme that a reader sees as one. */
export interface Edit {
  readonly kind: EditKind
  /** `[start, end)` in the text before. */
  readonly start: number
  readonly end: number
  /** `[startAfter, endAfter)` in the text after. */
  readonly startAfter: number
  readonly endAfter: number
  /** The text after of this stretch; empty for `delete`. */
  readonly text: string
  /** How sure the model was, 0..1; absent where no model was asked. */
  readonly confidence?: number
}

/** A stretch of two rows of ids; offsets count tokens. */
export interface TokenEdit extends Omit<Edit, 'text'> {
  readonly tokens: Int32Array
}

/**
 * The script that turns `a` into `b`, keeps included, in order, without gaps. Longest common subsequence of graphemes;
 * ties prefer contiguous, then leftmost matches. At most 32,767 graphemes a side.
 *
 * @example
 * changesOf(editScript('He go', 'He goes')) // [{ kind: 'insert', start: 5, end: 5, text: 'es', ... }]
 */
export function editScript(a: string, b: string): Edit[] {
  const numbers = new Map<string, number>()
  const before = graphemes(a, numbers)
  const after = graphemes(b, numbers)
  return stretches(alignTokens(before.ids, after.ids), after.ids.length).map((edit) => {
    const startAfter = offsetAt(after.offsets, edit.startAfter)
    const endAfter = offsetAt(after.offsets, edit.endAfter)
    return {
      kind: edit.kind,
      start: offsetAt(before.offsets, edit.start),
      end: offsetAt(before.offsets, edit.end),
      startAfter,
      endAfter,
      text: b.slice(startAfter, endAfter),
    }
  })
}

/** The script that turns one row of ids into another, keeps included. At most 32,767 tokens a side. */
export function tokenEditScript(a: Int32Array, b: Int32Array): TokenEdit[] {
  return stretches(alignTokens(a, b), b.length).map((edit) => ({
    ...edit,
    tokens: b.slice(edit.startAfter, edit.endAfter),
  }))
}

/** The edits that change something. */
export function changesOf<E extends { readonly kind: EditKind }>(edits: readonly E[]): E[] {
  return edits.filter((edit) => edit.kind !== 'keep')
}

/** Applies a script to the text it was made for; keeps may be left out, order must be that of the text. */
export function applyEdits(text: string, edits: readonly Pick<Edit, 'kind' | 'start' | 'end' | 'text'>[]): string {
  let result = ''
  let position = 0
  for (const edit of edits) {
    const { kind, start, end } = checkOrder(edit, position, text.length)
    const old = text.slice(start, end)
    if (kind === 'keep' && edit.text !== old) {
      throw new MergeError(
        'ERR_INPUT',
        `edits: expected ${JSON.stringify(edit.text)} at ${start}, received ${JSON.stringify(old)}`,
      )
    }
    result += text.slice(position, start) + edit.text
    position = end
  }
  return result + text.slice(position)
}

/** Applies a script to the row of ids it was made for. */
export function applyTokenEdits(
  row: Int32Array,
  edits: readonly Pick<TokenEdit, 'kind' | 'start' | 'end' | 'tokens'>[],
): Int32Array {
  const result: number[] = []
  let position = 0
  for (const edit of edits) {
    const { start, end } = checkOrder(edit, position, row.length)
    for (const id of row.subarray(position, start)) result.push(id)
    for (const id of edit.tokens) result.push(id)
    position = end
  }
  for (const id of row.subarray(position)) result.push(id)
  return Int32Array.from(result)
}

/** Graphemes of a text as numbers, and the offset where each begins; the last offset is the text's length. */
export function graphemes(text: string, numbers: Map<string, number>): { ids: Int32Array; offsets: Int32Array } {
  const ids: number[] = []
  const offsets: number[] = []
  const units = isPlain(text) ? plainUnits(text) : segmenter.segment(text)
  for (const { segment, index } of units) {
    const known = numbers.get(segment)
    const id = known ?? numbers.size
    if (known === undefined) numbers.set(segment, id)
    ids.push(id)
    offsets.push(index)
  }
  offsets.push(text.length)
  return { ids: Int32Array.from(ids), offsets: Int32Array.from(offsets) }
}

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** ASCII without a carriage return: every unit is a grapheme. */
const isPlain = (text: string): boolean => /^[^\r\u0080-\uffff]*$/.test(text)

function* plainUnits(text: string): Generator<{ segment: string; index: number }> {
  for (let index = 0; index < text.length; index++) yield { segment: text.charAt(index), index }
}

const offsetAt = (offsets: Int32Array, index: number): number => offsets[index] ?? 0

/** Runs of matched and unmatched positions as edits over positions. */
function stretches(matches: Int32Array, lengthAfter: number): Omit<TokenEdit, 'tokens'>[] {
  const edits: Omit<TokenEdit, 'tokens'>[] = []
  let start = 0
  let startAfter = 0
  const change = (end: number, endAfter: number): void => {
    const deleted = end > start
    const inserted = endAfter > startAfter
    if (deleted || inserted) {
      const kind = deleted && inserted ? 'replace' : deleted ? 'delete' : 'insert'
      edits.push({ kind, start, end, startAfter, endAfter })
    }
    start = end
    startAfter = endAfter
  }
  for (let i = 0; i < matches.length; i++) {
    const j = matches[i] ?? -1
    if (j < 0) continue
    change(i, j)
    let end = i + 1
    while (end < matches.length && matches[end] === j + end - i) end++
    edits.push({ kind: 'keep', start: i, end, startAfter: j, endAfter: j + end - i })
    start = end
    startAfter = j + end - i
    i = end - 1
  }
  change(matches.length, lengthAfter)
  return edits
}

function checkOrder<E extends Pick<Edit, 'kind' | 'start' | 'end'>>(edit: E, position: number, length: number): E {
  const { start, end } = edit
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < position || end < start || end > length) {
    throw new MergeError(
      'ERR_INPUT',
      `edits: expected ${position} <= start <= end <= ${length}, received [${start}, ${end})`,
    )
  }
  return edit
}
