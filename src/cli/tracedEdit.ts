// tracedEdit: edits, infills and continuations that keep their rounds, and their lines for a trace.

import { infillConfig, type RefineOptions, refineConfig } from '../config.js'
import { type Draft, editableDraft, holedDraft, promptDraft } from '../merge/draft.js'
import { contextKey, type EditingModel } from '../merge/editingModel.js'
import { type EditResult, editResult } from '../merge/editResult.js'
import { type LoopSettings, type Round, refineRows } from '../merge/refine.js'
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
export function tracedEdit(model: EditingModel, text: string, options: object = {}): Promise<TracedEdit> {
  return traceDraft(model, editableDraft(model[contextKey], text), parseConfig(model.editSchemas.draft, options, ''))
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
  model: Pick<EditingModel<S>, 'tokenizer' | typeof contextKey>,
  draft: Draft,
  settings: S,
): Promise<TracedEdit> {
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
