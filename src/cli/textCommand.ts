// textCommand: the loop that edit, generate and infill share: read texts, refine them, show the result or each round.

import type { RefineConfig } from '../config.js'
import type { Round } from '../editor.js'
import { conditioned, type Draft, type DraftContext } from '../merge/draft.js'
import { editRows } from '../merge/editResult.js'
import { sessionOf } from '../model.js'
import { holdInterrupts } from './interrupt.js'
import { type ModelFlags, openModel } from './modelOptions.js'
import { visible, wantsColour, writeOutput } from './terminal.js'
import { type InputText, inputTexts, placed } from './textInput.js'
import { renderTrace } from './trace.js'
import { type TracedEdit, traceDraft } from './tracedEdit.js'
import { traceSvg } from './traceSvg.js'

/** What the three commands show. */
export interface ShowFlags {
  readonly json?: boolean
  readonly trace?: boolean
  readonly traceSvg?: string
}

/** How a command reads a text, and how it refines it. */
export interface TextWork {
  readonly settings: RefineConfig
  readonly draftOf: (context: DraftContext, text: string) => Draft
}

/** Runs a command over its argument or stdin; `work` may still refuse options before the model is loaded. */
export async function runTextCommand(
  argument: string | undefined,
  flags: ModelFlags & ShowFlags,
  work: (signal: AbortSignal) => TextWork,
): Promise<void> {
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after this round.\n'))
  const { settings, draftOf } = work(interrupt.signal)
  await using model = await openModel(flags)
  const context = { tokenizer: model.tokenizer, ...model.config }
  const drafts = (inputs: readonly InputText[]): Draft[] =>
    inputs.map((input) => placed(input, (text) => conditioned(context, draftOf(context, text), settings.condition)))
  for await (const inputs of inputTexts(argument, interrupt.signal)) {
    interrupt.signal.throwIfAborted()
    const group = drafts(inputs)
    if (flags.trace === true || flags.traceSvg !== undefined) {
      for (const draft of group) await show(await traceDraft(model, draft, settings), flags, argument)
      continue
    }
    const results = await editRows({ ...context, session: sessionOf(model) }, group, settings)
    for (const result of results) {
      process.stdout.write(`${flags.json === true ? JSON.stringify(result) : shownText(result.text, argument)}\n`)
    }
  }
}

async function show(
  { result, rounds, lines }: TracedEdit,
  flags: ShowFlags,
  argument: string | undefined,
): Promise<void> {
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ ...result, trace: rounds.map(roundRecord) })}\n`)
  } else {
    if (flags.trace === true) {
      process.stdout.write(`${renderTrace(lines, { colour: wantsColour(process.stdout) })}\n`)
    }
    process.stdout.write(`${shownText(result.text, argument)}\n`)
  }
  if (flags.traceSvg !== undefined) await writeOutput('trace-svg', flags.traceSvg, traceSvg(lines))
}

// A round as JSON: lists instead of typed arrays.
function roundRecord(round: Round) {
  const { tokens, keep, deleted, source, confidence, ...rest } = round
  return {
    ...rest,
    tokens: [...tokens],
    keep: [...keep],
    deleted: [...deleted],
    source: [...source],
    confidence: [...confidence],
  }
}

// One line of stdin gives one line of stdout. What goes to a terminal cannot steer it.
function shownText(text: string, argument: string | undefined): string {
  const isArgument = argument !== undefined && argument !== '-'
  const whole = isArgument ? text : text.replace(/\r?\n/g, ' ')
  return process.stdout.isTTY ? whole.split('\n').map(visible).join('\n') : whole
}
