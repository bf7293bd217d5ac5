// EditResult: what a whole loop did to one draft, put together from its rounds.

import type { RefineConfig } from '../config.js'
import type { EditResult, Round } from '../editor.js'
import { MergeError } from '../errors.js'
import { applyEdits, changesOf, type Edit, editScript } from '../text/editScript.js'
import { composeSource, editsFromSource } from '../text/editsFromSource.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Draft } from './draft.js'
import { type RefineContext, refineRows } from './refine.js'
import { confidenceOf } from './stopping.js'

/** Refines drafts together to the end; one result for each, in their order. */
export async function editRows(
  context: RefineContext & { readonly tokenizer: Tokenizer },
  drafts: readonly Draft[],
  settings: RefineConfig,
): Promise<EditResult[]> {
  const histories = drafts.map((): Round[] => [])
  const states = drafts.map((draft) => draft.state)
  for await (const rounds of refineRows(context, states, settings)) {
    for (const round of rounds) histories[round.row]?.push(round)
  }
  return drafts.map((draft, row) => editResult(context.tokenizer, draft, histories[row] ?? [], settings))
}

/** The result of a row from all its rounds. */
export function editResult(
  tokenizer: Tokenizer,
  draft: Draft,
  rounds: readonly Round[],
  settings: RefineConfig,
): EditResult {
  const last = rounds[rounds.length - 1]
  if (last?.stopReason === undefined)
    throw new MergeError('ERR_INTERNAL', 'refine: expected a stop reason after the last round')
  const source = rounds.map((round) => round.source).reduce(composeSource)
  const filled = last.confidence.filter((_, token) => source[token] === -1)
  const edits = changesOf(editsOf(tokenizer, draft, rounds, source))
  return {
    text: applyEdits(draft.text, edits),
    edits,
    rounds: rounds.length,
    stopReason: last.stopReason,
    confidence: filled.length === 0 ? 1 : confidenceOf(filled, settings.confidence),
    truncated: rounds.some((round) => round.truncated),
  }
}

function editsOf(tokenizer: Tokenizer, draft: Draft, rounds: readonly Round[], source: Int32Array): Edit[] {
  const last = rounds[rounds.length - 1]
  const before = tokenizer.pieces(draft.state.tokens)
  // A tokenizer that normalizes gives another text back; then only the texts can be compared, without confidences.
  if (last === undefined || before.join('') !== draft.text) return editScript(draft.text, last?.text ?? draft.text)
  const after = tokenizer.pieces(last.tokens)
  return editsFromSource({ before, after, source, confidence: last.confidence, keep: draftKeep(rounds, before.length) })
}

// The last keep probability that each token of the draft got: it was deleted in that round, or kept to the end.
function draftKeep(rounds: readonly Round[], length: number): Float32Array {
  const keep = new Float32Array(length).fill(1)
  // Place of each token of the row before a round in the draft, -1 where an earlier round inserted it.
  let places: Int32Array = Int32Array.from({ length }, (_, index) => index)
  for (const round of rounds) {
    places.forEach((place, token) => {
      if (place >= 0) keep[place] = round.keep[token] ?? 1
    })
    places = composeSource(places, round.source)
  }
  return keep
}
