// tracedEdit: edits, infills and continuations that keep their rounds, and their lines for a trace.

import { draftConfig, infillConfig, type RefineConfig, type RefineOptions, refineConfig } from '../config.js'
import type { EditResult, Round } from '../editor.js'
import { conditioned, type Draft, editableDraft, holedDraft, promptDraft } from '../merge/draft.js'
import { editResult } from '../merge/editResult.js'
import { refineRows } from '../merge/refine.js'
import { type MergeModel, sessionOf } from '../model.js'
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
  return traceDraft(model, editableDraft(limits(model), text), parseConfig(draftConfig, options, ''))
}

/** `model.infill` with its rounds; `___` is a hole. */
export function tracedInfill(model: MergeModel, text: string, options: RefineOptions = {}): Promise<TracedEdit> {
  const settings = parseConfig(infillConfig, { mode: 'gen', ...options }, '')
  return traceDraft(model, holedDraft(limits(model), text, settings.hole), settings)
}

/** `model.generate` with its rounds. */
export function tracedGenerate(model: MergeModel, prompt: string, options: RefineOptions = {}): Promise<TracedEdit> {
  const settings = parseConfig(refineConfig, { mode: 'gen', ...options }, '')
  return traceDraft(model, promptDraft(limits(model), prompt), settings)
}

/** Refines one draft to the end and keeps its rounds. */
export async function traceDraft(model: MergeModel, given: Draft, settings: RefineConfig): Promise<TracedEdit> {
  const draft = conditioned(limits(model), given, settings.condition)
  const { tokenizer } = model
  const rounds: Round[] = []
  for await (const round of refineRows({ ...limits(model), session: sessionOf(model) }, [draft.state], settings)) {
    rounds.push(...round)
  }
  const result = editResult(tokenizer, draft, rounds, settings)
  const lines = traceLines({ draft: draft.state.tokens, holes: holesOf(draft), rounds }, tokenizer)
  return { draft, rounds, result, lines }
}

const limits = (model: MergeModel) => ({ tokenizer: model.tokenizer, ...model.config })

// A draft that only grows has holes: its open gaps.
function holesOf({ state }: Draft): number[] {
  if (state.locked.includes(0) || !state.open.includes(0)) return []
  return [...state.open.keys()].filter((gap) => state.open[gap] !== 0)
}
