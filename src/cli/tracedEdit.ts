// tracedEdit: edits, infills and continuations that keep their rounds, and their lines for a trace.

import { draftConfig, infillConfig, type RefineOptions, refineConfig } from '../config.js'
import type { EditResult, Round } from '../editor.js'
import { conditioned, type Draft, editableDraft, holedDraft, promptDraft } from '../merge/draft.js'
import { editResult } from '../merge/editResult.js'
import { type LoopSettings, refineRows } from '../merge/refine.js'
import { contextKey, type RoundModel } from '../merge/roundModel.js'
import type { MergeModel } from '../model.js'
import { parseConfig } from '../parseConfig.js'
import { type TraceLine, traceLines } from './trace.js'

/** What a loop did to a text. */
export interface TracedEdit {
  readonly draft: Draft
  readonly rounds: readonly Round[]
  readonly result: EditResult
  readonly lines: readonly TraceLine[]
}

/** `model.edit` with its rounds. */
export function tracedEdit(model: MergeModel, text: string, options: RefineOptions = {}): Promise<TracedEdit> {
  return traceDraft(model, editableDraft(model[contextKey], text), parseConfig(draftConfig, options, ''))
}

/** `model.infill` with its rounds; `___` is a hole. */
export function tracedInfill(model: MergeModel, text: string, options: RefineOptions = {}): Promise<TracedEdit> {
  const settings = parseConfig(infillConfig, { mode: 'gen', ...options }, '')
  return traceDraft(model, holedDraft(model[contextKey], text, settings.hole), settings)
}

/** `model.generate` with its rounds. */
export function tracedGenerate(model: MergeModel, prompt: string, options: RefineOptions = {}): Promise<TracedEdit> {
  const settings = parseConfig(refineConfig, { mode: 'gen', ...options }, '')
  return traceDraft(model, promptDraft(model[contextKey], prompt), settings)
}

/** Refines one draft to the end and keeps its rounds. */
export async function traceDraft<S extends LoopSettings>(
  model: RoundModel<S, object>,
  given: Draft,
  settings: S,
): Promise<TracedEdit> {
  const draft = conditioned(model[contextKey], given, settings.condition)
  const { tokenizer } = model
  const rounds: Round[] = []
  for await (const round of refineRows(model[contextKey], [draft.state], settings)) rounds.push(...round)
  const result = editResult(tokenizer, draft, rounds, settings)
  const lines = traceLines({ draft: draft.state.tokens, holes: holesOf(draft), rounds }, tokenizer)
  return { draft, rounds, result, lines }
}

// A draft that only grows has holes: its open gaps.
function holesOf({ state }: Draft): number[] {
  if (state.locked.includes(0) || !state.open.includes(0)) return []
  return [...state.open.keys()].filter((gap) => state.open[gap] !== 0)
}
