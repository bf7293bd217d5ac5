// Editor: what editing looks like whatever the family: a draft goes through rounds and ends as a result. Evaluation and
// the command line know no more of a model.

import type { Edit } from './text/editScript.js'
import type { Tokenizer } from './text/tokenizer.js'

/** A span of a text, `[start, end)` in UTF-16 offsets. */
export type TextSpan = readonly [start: number, end: number]

/** A draft, alone or with spans that never change and a text before it that is read with it and stays as it is. */
export type DraftText =
  | string
  | { readonly text: string; readonly locked?: readonly TextSpan[]; readonly condition?: string }

/** A span of tokens, `[start, end)`. */
export type TokenSpan = readonly [start: number, end: number]

/**
 * What a stop rule says: `confident` (the tokens filled in this round are sure enough), `converged` (the round changed less
 * than epsilon), `cycle` (a state seen before came back), `exhausted` (the last allowed round, or no room for more).
 */
export type RuleReason = 'confident' | 'converged' | 'cycle' | 'exhausted'

/** Why a row stopped: its rule said so, or it `ended` by itself: no mask is left, or the end of text was written. */
export type StopReason = RuleReason | 'ended'

/** What one round did to one row. */
export interface Round {
  /** Index of the row among the drafts. */
  readonly row: number
  /** From 1. */
  readonly round: number
  /** The row after this round. */
  readonly tokens: Int32Array
  readonly text: string
  /** Probability that the row needs an edit (0..1); 1 where the family has no gate. */
  readonly gate: number
  /** Whether the edit path ran: the deleter was asked. */
  readonly edited: boolean
  /** Keep probability of each token of the row before; empty where the family has no deleter. */
  readonly keep: Float32Array
  /** Indices of the tokens of the row before that were deleted. */
  readonly deleted: Int32Array
  /** Spans of tokens of this row that were inserted and filled. */
  readonly inserted: readonly TokenSpan[]
  /** Index of each token in the row before, -1 where it was inserted. */
  readonly source: Int32Array
  /** Probability of each token when it was filled in; 1 for a token of the draft, 0 for a mask that waits. */
  readonly confidence: Float32Array
  /** One number for the tokens filled in this round (0..1); 0 where none was. */
  readonly roundConfidence: number
  /** What changed; `start` and `end` are offsets of the text before this round. */
  readonly edits: readonly Edit[]
  /** Whether insertions were cut at the model's `maxLength`. */
  readonly truncated: boolean
  /** Passes of the network in this round. */
  readonly encoderPasses: number
  /** Why the row stops here; absent while it goes on. */
  readonly stopReason?: StopReason
}

/** A text after its rounds. */
export interface EditResult {
  readonly text: string
  /** What changed, left to right; `start` and `end` are UTF-16 offsets of the text that was given. */
  readonly edits: readonly Edit[]
  /** Rounds taken. */
  readonly rounds: number
  readonly stopReason: StopReason
  /** One number for every token that the model filled in and that stayed (0..1); 1 where nothing was. */
  readonly confidence: number
  /** Whether insertions were cut at the model's `maxLength` in any round. */
  readonly truncated: boolean
}

/** A text as a model takes it up; families know more of it. */
export interface TokenDraft {
  readonly text: string
  readonly state: { readonly tokens: Int32Array }
}

/** A model with options of its own, ready to edit. D: its drafts. */
export interface Editor<D extends TokenDraft = TokenDraft> {
  /** Most rows refined together. */
  readonly batchRows: number
  readonly signal: AbortSignal | undefined
  /** A token is given up where its keep probability is not above it (0..1); of families with a deleter. */
  readonly keepThreshold: number
  /** Throws `ERR_INPUT` for a text that is too long. */
  draft(draft: DraftText): D
  /** Whether the model has room for a text of these tokens that becomes the other one. */
  fits(source: Int32Array, target: Int32Array): boolean
  /** Refines drafts together; yields what each round did to every row that was still active. */
  refine(drafts: readonly D[]): AsyncGenerator<readonly Round[], void, undefined>
  /** The result of a row from all its rounds. */
  result(draft: D, rounds: readonly Round[]): EditResult
}

/** A model that edits. O: its options. */
export interface EditingModel<O extends object = object> {
  readonly tokenizer: Tokenizer
  editor(options?: O): Editor
}

/** Edits drafts to the end; results come in their order. Rows of like length are refined together. */
export async function editDrafts<D extends TokenDraft>(editor: Editor<D>, drafts: readonly D[]): Promise<EditResult[]> {
  const rows = drafts.map((draft, index) => ({ draft, index }))
  rows.sort((a, b) => a.draft.state.tokens.length - b.draft.state.tokens.length || a.index - b.index)
  const results = new Map<number, EditResult>()
  for (let start = 0; start < rows.length; start += editor.batchRows) {
    const batch = rows.slice(start, start + editor.batchRows)
    const histories = batch.map((): Round[] => [])
    for await (const rounds of editor.refine(batch.map(({ draft }) => draft))) {
      for (const round of rounds) histories[round.row]?.push(round)
    }
    for (const [place, { draft, index }] of batch.entries()) {
      results.set(index, editor.result(draft, histories[place] ?? []))
    }
  }
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
}
