// The state of one row between rounds: its tokens, which of them are locked, and which gaps are open.

import type { TokenSpan } from '../editor.js'

/** Gap `j` lies before token `j`; a row of n tokens has n + 1 gaps, the last one behind its last token. */
export interface RowState {
  readonly tokens: Int32Array
  /** 1: this token is never deleted. One per token. */
  readonly locked: Uint8Array
  /** 1: masks may be inserted in this gap; 2: at least one must be. One per gap. */
  readonly open: Uint8Array
  /** Probability of the token when it was filled in; 1 for a token of the draft. */
  readonly confidence: Float32Array
  /** What stands before the row, is read, and never changes; absent: nothing. */
  readonly condition?: Int32Array
}

/** What one round did to one row: `source` is the index of each token in the row before, -1 where it was inserted. */
export interface RowChange {
  readonly tokens: Int32Array
  readonly source: Int32Array
  readonly confidence: Float32Array
}

/**
 * The state of a draft whose spans are locked: every gap is open but those inside one locked span.
 * Two locked spans that touch leave the gap between them open.
 */
export function draftState(tokens: Int32Array, lockedSpans: readonly TokenSpan[] = []): RowState {
  const locked = new Uint8Array(tokens.length)
  const open = new Uint8Array(tokens.length + 1).fill(1)
  for (const [start, end] of lockedSpans) {
    locked.fill(1, start, end)
    open.fill(0, Math.min(start + 1, end), end)
  }
  return { tokens, locked, open, confidence: new Float32Array(tokens.length).fill(1) }
}

/** The state of a draft that only grows, and only in these gaps: every token is locked, and each gap gets something. */
export function growingState(tokens: Int32Array, openGaps: readonly number[]): RowState {
  const open = new Uint8Array(tokens.length + 1)
  for (const gap of openGaps) open[gap] = 2
  const locked = new Uint8Array(tokens.length).fill(1)
  return { tokens, locked, open, confidence: new Float32Array(tokens.length).fill(1) }
}

/**
 * The state after a round. Kept tokens stay locked if they were; inserted ones never are. A gap is open if it touches an
 * inserted token, or if any gap of the row before that it covers was open.
 */
export function nextState(state: RowState, change: RowChange): RowState {
  const { source } = change
  const count = source.length
  const locked = new Uint8Array(count)
  const open = new Uint8Array(count + 1)
  const confidence = Float32Array.from(change.confidence)
  for (let index = 0; index <= count; index++) {
    // The sentinels count as kept tokens before the first and behind the last token of the row before.
    const left = index === 0 ? -1 : placeBefore(source, index - 1)
    const right = index === count ? state.tokens.length : placeBefore(source, index)
    open[index] = left === undefined || right === undefined || anyOpen(state.open, left + 1, right) ? 1 : 0
    if (right !== undefined && index < count) {
      locked[index] = state.locked[right] ?? 0
      // A kept place whose token changed was a mask that has been filled.
      if (change.tokens[index] === state.tokens[right]) confidence[index] = state.confidence[right] ?? 1
    }
  }
  return { ...state, tokens: change.tokens, locked, open, confidence }
}

/** Indices of the tokens of the row before that a round deleted. */
export function deletedTokens(source: Int32Array, lengthBefore: number): Int32Array {
  const kept = new Uint8Array(lengthBefore)
  for (const index of source) if (index >= 0) kept[index] = 1
  const deleted: number[] = []
  for (let index = 0; index < lengthBefore; index++) if (kept[index] === 0) deleted.push(index)
  return Int32Array.from(deleted)
}

/** Runs of tokens that a round inserted, as spans of the row after it. */
export function insertedSpans(source: Int32Array): TokenSpan[] {
  const spans: TokenSpan[] = []
  let start = -1
  for (let index = 0; index <= source.length; index++) {
    const isInserted = index < source.length && source[index] === -1
    if (isInserted && start < 0) start = index
    if (!isInserted && start >= 0) {
      spans.push([start, index])
      start = -1
    }
  }
  return spans
}

// The token's place in the row before; undefined where it was inserted.
function placeBefore(source: Int32Array, index: number): number | undefined {
  const place = source[index] ?? -1
  return place < 0 ? undefined : place
}

function anyOpen(open: Uint8Array, first: number, last: number): boolean {
  for (let gap = first; gap <= last; gap++) if (open[gap] !== 0) return true
  return false
}
