// Draft: a text on its way into the loop, as tokens with what is locked and which gaps are open.

import type { DraftText, TextSpan, TokenSpan } from '../editor.js'
import { MergeError } from '../errors.js'
import { type Tokenizer, toWellFormed } from '../text/tokenizer.js'
import { draftState, growingState, type RowState } from './rowState.js'

/** A text with holes: what stands between them, or what stands before and after the only one. */
export type HoledText = string | readonly string[] | { readonly prefix: string; readonly suffix: string }

/** A text and the state in which the loop takes it up. */
export interface Draft {
  readonly text: string
  readonly state: RowState
}

/** What a draft needs of a model: its tokenizer and the most tokens of a row. */
export interface DraftContext {
  readonly tokenizer: Tokenizer
  readonly maxLength: number
}

/** A draft that may change wherever it is not locked. A token that a locked span touches is locked as a whole. */
export function editableDraft(context: DraftContext, draft: DraftText, locked: readonly TextSpan[] = []): Draft {
  const text = toWellFormed(checkedText(typeof draft === 'string' ? draft : draft.text))
  const spans = typeof draft === 'string' ? locked : [...locked, ...(draft.locked ?? [])]
  const tokens = encoded(context, text)
  const offsets = spans.length === 0 ? undefined : context.tokenizer.spans(text)
  const tokenSpans = spans.map((span) => tokenSpan(offsets ?? new Int32Array(0), checkedSpan(span, text)))
  const condition = typeof draft === 'string' ? undefined : draft.condition
  return conditioned(context, { text, state: draftState(tokens, tokenSpans) }, condition)
}

/** The draft behind a text that is read with it and stays as it is (H18). One that has its own keeps that. */
export function conditioned(context: DraftContext, draft: Draft, condition: string | undefined): Draft {
  if (condition === undefined || draft.state.condition !== undefined) return draft
  const tokens = encoded(context, toWellFormed(checkedText(condition, 'condition')), 'condition')
  return { ...draft, state: { ...draft.state, condition: tokens } }
}

/** A prompt that stays as it is and grows at its end. */
export function promptDraft(context: DraftContext, prompt: string): Draft {
  const text = toWellFormed(checkedText(prompt))
  const tokens = encoded(context, text)
  return { text, state: growingState(tokens, [tokens.length]) }
}

/** A text that stays as it is and grows in its holes. */
export function holedDraft(context: DraftContext, holed: HoledText, hole: string): Draft {
  const pieces = piecesOf(holed, hole).map((piece) => toWellFormed(checkedText(piece)))
  if (pieces.length < 2) {
    throw new MergeError('ERR_INPUT', `text: expected at least one hole (${JSON.stringify(hole)}), received none`)
  }
  const text = pieces.join('')
  // Each piece is tokenized alone, so that no token spans a hole.
  const rows = pieces.map((piece) => context.tokenizer.encode(piece))
  const tokens = Int32Array.from(rows.flatMap((row) => [...row]))
  checkLength(context, tokens)
  let gap = 0
  const openGaps = rows.slice(0, -1).map((row) => {
    gap += row.length
    return gap
  })
  return { text, state: growingState(tokens, openGaps) }
}

function piecesOf(holed: HoledText, hole: string): readonly string[] {
  if (typeof holed === 'string') return holed.split(hole)
  return 'prefix' in holed ? [holed.prefix, holed.suffix] : holed
}

function encoded(context: DraftContext, text: string, name = 'text'): Int32Array {
  const tokens = context.tokenizer.encode(text)
  checkLength(context, tokens, name)
  return tokens
}

function checkLength({ maxLength }: DraftContext, tokens: Int32Array, name = 'text'): void {
  if (tokens.length <= maxLength) return
  throw new MergeError(
    'ERR_INPUT',
    `${name}: expected at most ${maxLength} tokens (maxLength), received ${tokens.length}`,
    {
      details: { tokens: tokens.length, maxLength },
    },
  )
}

function checkedText(text: unknown, name = 'text'): string {
  if (typeof text === 'string') return text
  throw new MergeError('ERR_INPUT', `${name}: expected a string, received ${text === null ? 'null' : typeof text}`)
}

function checkedSpan(span: TextSpan, text: string): TextSpan {
  const [start, end] = span
  if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= text.length) return span
  throw new MergeError('ERR_INPUT', `locked: expected 0 <= start <= end <= ${text.length}, received [${start}, ${end}]`)
}

// The tokens that a span of the text touches.
function tokenSpan(offsets: Int32Array, [start, end]: TextSpan): TokenSpan {
  const count = offsets.length / 2
  let first = 0
  while (first < count && (offsets[2 * first + 1] ?? 0) <= start) first++
  let last = first
  while (last < count && (offsets[2 * last] ?? 0) < end) last++
  return [first, last]
}
