// Rewriting: rounds and results of families that keep no token of a draft but write its successor anew.

import { type Editor, type EditResult, editDrafts, type Round, type StopReason, type TokenDraft } from '../editor.js'
import { MergeError } from '../errors.js'
import { changesOf, editScript } from '../text/editScript.js'
import { type Tokenizer, toWellFormed } from '../text/tokenizer.js'

/** What one round left of a row. */
export interface WrittenRow {
  /** Index of the row among the drafts. */
  readonly row: number
  /** From 1. */
  readonly round: number
  readonly before: { readonly text: string; readonly tokens: Int32Array }
  readonly tokens: Int32Array
  /** Probability of each token when it was written, 0 of a mask. */
  readonly confidence: Float32Array
  /** Probabilities of the tokens that this round wrote. */
  readonly fresh: Float32Array
  readonly truncated: boolean
  readonly encoderPasses: number
  readonly stopReason: StopReason | undefined
}

/** The round of a row: the first one replaces the whole draft, later ones fill masks where they stand. */
export function writtenRound(tokenizer: Tokenizer, written: WrittenRow): Round {
  const { before, tokens, confidence, fresh, stopReason, ...rest } = written
  const text = tokenizer.pieces(tokens).join('')
  const isFirst = written.round === 1
  return {
    ...rest,
    tokens,
    text,
    gate: 1,
    edited: true,
    keep: new Float32Array(0),
    deleted: isFirst ? Int32Array.from(before.tokens.keys()) : new Int32Array(0),
    inserted: isFirst && tokens.length > 0 ? [[0, tokens.length]] : [],
    source: Int32Array.from(tokens, (_, index) => (isFirst ? -1 : index)),
    confidence,
    roundConfidence: meanOf(fresh) ?? 0,
    edits: changesOf(editScript(before.text, text)),
    ...(stopReason === undefined ? {} : { stopReason }),
  }
}

/** The result of a row from all its rounds; its edits are the least that lead to the new text. */
export function writtenResult(draft: TokenDraft, rounds: readonly Round[]): EditResult {
  const last = rounds.at(-1)
  if (last?.stopReason === undefined)
    throw new MergeError('ERR_INTERNAL', 'edit: expected a stop reason after the last round')
  return {
    text: last.text,
    edits: changesOf(editScript(draft.text, last.text)),
    rounds: rounds.length,
    stopReason: last.stopReason,
    confidence: meanOf(last.confidence) ?? 1,
    truncated: rounds.some(({ truncated }) => truncated),
  }
}

/** A text as a model of at most `room` tokens takes it up. */
export function writtenDraft(tokenizer: Tokenizer, given: unknown, room: number): TokenDraft {
  if (typeof given !== 'string') {
    throw new MergeError('ERR_INPUT', `text: expected a string, received ${given === null ? 'null' : typeof given}`)
  }
  const text = toWellFormed(given)
  const tokens = tokenizer.encode(text)
  if (tokens.length <= room) return { text, state: { tokens } }
  throw new MergeError('ERR_INPUT', `text: expected at most ${room} tokens, received ${tokens.length}`, {
    details: { tokens: tokens.length, maxLength: room },
  })
}

/** Edits a text, or many: one result for a text, a list for a list. */
export async function editTexts(editor: Editor, input: string | readonly string[]): Promise<EditResult | EditResult[]> {
  if (isList(input)) {
    const drafts = input.map((text) => editor.draft(text))
    return editDrafts(editor, drafts)
  }
  const [result] = await editDrafts(editor, [editor.draft(input)])
  if (result === undefined) throw new MergeError('ERR_INTERNAL', 'edit: expected one result, received none')
  return result
}

const isList = (input: string | readonly string[]): input is readonly string[] => Array.isArray(input)

function meanOf(values: Float32Array): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
}
