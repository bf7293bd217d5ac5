// The loop of refinement: gate, delete, insert, fill in one native call per round, until every row's stop rule says stop.

import { type ModelConfig, type RefineConfig, roundRecord } from '../config.js'
import type { Round } from '../editor.js'
import { isMergeError } from '../errors.js'
import type { NativeRound, NativeSession } from '../native.js'
import { packFlags, packRows, rowRange } from '../rows.js'
import { changesOf } from '../text/editScript.js'
import { editsFromSource } from '../text/editsFromSource.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { conditionRows } from './condition.js'
import { deletedTokens, insertedSpans, nextState, type RowState } from './rowState.js'
import { confidenceOf, stopReason } from './stopping.js'

/** What a loop of refinement needs of a model. */
export interface RefineContext extends Pick<ModelConfig, 'condition' | 'countSource' | 'encodings'> {
  readonly session: Pick<NativeSession, 'refineRound' | 'forget'>
  readonly tokenizer: Pick<Tokenizer, 'pieces' | 'shift' | 'special'>
  /** Most tokens of a row. */
  readonly maxLength: number
}

interface ActiveRow {
  readonly row: number
  readonly state: RowState
  readonly pieces: readonly string[]
  /** Every state so far, the draft first. */
  readonly earlier: readonly Int32Array[]
}

/**
 * Refines rows together; yields what each round did to every row that was still active. A row that stops leaves the batch;
 * the generator ends when none is left. An aborted signal rejects with its reason, at the latest after the running round.
 */
export async function* refineRows(
  context: RefineContext,
  drafts: readonly RowState[],
  settings: RefineConfig,
): AsyncGenerator<readonly Round[]> {
  const generation = context.encodings === 'one' ? generations++ : -1
  try {
    yield* refinedRounds(context, drafts, settings, generation)
  } finally {
    if (generation >= 0) await forgotten(context.session, generation)
  }
}

let generations = 0

async function forgotten(session: RefineContext['session'], generation: number): Promise<void> {
  try {
    await session.forget(generation, new Int32Array(0))
  } catch (error) {
    // A model that was disposed has forgotten already.
    if (!isMergeError(error, 'ERR_DISPOSED')) throw error
  }
}

async function* refinedRounds(
  context: RefineContext,
  drafts: readonly RowState[],
  settings: RefineConfig,
  generation: number,
): AsyncGenerator<readonly Round[]> {
  const { session, tokenizer, maxLength } = context
  let active: readonly ActiveRow[] = drafts.map((state, row) => {
    return { row, state, pieces: tokenizer.pieces(state.tokens), earlier: [state.tokens] }
  })
  // Places of the active rows among those of the last round.
  let parents: number[] | undefined
  for (let round = 1; active.length > 0; round++) {
    settings.signal?.throwIfAborted()

    // 1) gate  2) delete  3) insert  4) fill
    const output = await session.refineRound(
      roundRecord(settings, { round: round - 1, maxLength, shift: tokenizer.shift, generation }, context),
      packRows(active.map(({ state }) => state.tokens)),
      packFlags(active.map(({ state }) => state.locked)),
      packFlags(active.map(({ state }) => state.open)),
      // Decision: H30. The first of the earlier states is the draft.
      conditionRows(
        active.map(({ state, earlier }) => ({ given: state.condition, draft: earlier[0] ?? state.tokens })),
        { condition: context.condition, sep: tokenizer.special.sep },
      ),
      parents === undefined ? undefined : Int32Array.from(parents),
    )
    settings.signal?.throwIfAborted()

    // 5) stop, or go on with the rows that are not done
    let keepStart = 0
    const rounds: Round[] = []
    const next: ActiveRow[] = []
    const places: number[] = []
    active.forEach((row, index) => {
      const keep = output.keep.slice(keepStart, keepStart + row.state.tokens.length)
      keepStart += keep.length
      const { report, state, pieces } = roundOf(row, output, { index, keep, round, settings, tokenizer })
      rounds.push(report)
      if (report.stopReason === undefined) {
        next.push({ row: row.row, state, pieces, earlier: [...row.earlier, state.tokens] })
        places.push(index)
      }
    })
    yield rounds
    active = next
    parents = generation < 0 ? undefined : places
  }
}

interface RoundPlace {
  /** The row's place in the batch of this round. */
  readonly index: number
  readonly keep: Float32Array
  readonly round: number
  readonly settings: RefineConfig
  readonly tokenizer: Pick<Tokenizer, 'pieces' | 'special'>
}

// The report of one row's round, and the state it leaves.
function roundOf(before: ActiveRow, output: NativeRound, place: RoundPlace) {
  const { index, keep, round, settings } = place
  const [start, end] = rowRange(output, index)
  const source = output.source.slice(start, end)
  const tokens = output.tokens.slice(start, end)
  const state = nextState(before.state, { tokens, source, confidence: output.confidence.slice(start, end) })
  const pieces = place.tokenizer.pieces(tokens)
  const mask = place.tokenizer.special.mask
  const isWaiting = tokens.includes(mask)
  const filled = state.confidence.filter(
    (_, token) => tokens[token] !== mask && tokens[token] !== before.state.tokens[source[token] ?? -1],
  )
  const reason = isWaiting
    ? undefined
    : stopReason({ rounds: round, current: tokens, earlier: before.earlier, filled }, settings)
  const trace = { before: before.pieces, after: pieces, source, confidence: state.confidence, keep }
  const report: Round = {
    row: before.row,
    round,
    tokens,
    text: pieces.join(''),
    gate: output.gate[index] ?? 0,
    edited: output.edited[index] === 1,
    keep,
    deleted: deletedTokens(source, before.state.tokens.length),
    inserted: insertedSpans(source),
    source,
    confidence: state.confidence,
    roundConfidence: confidenceOf(filled, settings.confidence),
    edits: changesOf(editsFromSource(trace)),
    truncated: output.truncated[index] === 1,
    encoderPasses: output.encoderPasses,
    ...(reason === undefined ? {} : { stopReason: reason }),
  }
  return { report, state, pieces }
}
