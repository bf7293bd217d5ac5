// The loop of generation by blocks: one native call a denoising step, over the cache of what is finished (section 2).
//
// Rows take part from their prompt to their end and leave no trace in each other: their random numbers belong to their
// key, their cache to their slot.

import { isMergeError } from '../errors.js'
import type { NativeDenoise, NativeSession } from '../native.js'
import { packFlags, packRows, rowRange } from '../rows.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { type Answer, type AnswerStop, answerOf, type BlockStatistics, statisticsOf } from './answer.js'
import { type BlockChange, type BlockState, isFinished, isIdle, newBlock, steppedBlock } from './block.js'
import { denoiseRecord, type GenerateConfig } from './generateConfig.js'
import type { PromptRow } from './prompt.js'
import { planStep, type StepPlan } from './samplers.js'

/** What a loop of generation needs of a model. */
export interface GenerateContext {
  readonly session: Pick<NativeSession, 'denoise' | 'remember' | 'forget'>
  readonly tokenizer: Tokenizer
  readonly mask: number
  /** Ids that end an answer. */
  readonly endOfText: readonly number[]
  readonly blockLength: number
}

/** What one denoising step did to one answer. */
export interface DenoisingStep {
  /** Index of the prompt. */
  readonly row: number
  /** From 0. */
  readonly block: number
  /** Step of the block, from 1. */
  readonly step: number
  /** The answer so far; the mask's id where nothing is chosen. */
  readonly tokens: Int32Array
  /** Its text; masks have none. */
  readonly text: string
  /** Place of the block's first token within the answer. */
  readonly start: number
  /** Places within the answer that this step filled. */
  readonly unmasked: Int32Array
  /** Places whose tokens became masks again. */
  readonly remasked: Int32Array
  /** Places within the block that are masks after the step. */
  readonly masked: Int32Array
  /** Of each place of the block, by the confidence source: 0..1; margins -1..1; logits as they are. */
  readonly confidence: Float32Array
  /** The whole answer, in its last step. */
  readonly result?: Answer
}

interface ActiveRow {
  readonly row: number
  readonly prompt: PromptRow
  readonly slot: number
  /** Number of the block, from 0. */
  index: number
  /** Finished blocks. */
  answer: Int32Array
  block: BlockState
  /** Steps taken, over all blocks. */
  draws: number
  evaluations: number
  readonly statistics: BlockStatistics[]
}

let generations = 0

/** Generates answers; yields each step of each row as it ends. An aborted signal rejects with its reason. */
export async function* generateRows(
  context: GenerateContext,
  prompts: readonly PromptRow[],
  settings: GenerateConfig,
): AsyncGenerator<DenoisingStep, void, undefined> {
  const { session } = context
  const generation = generations++
  const waiting = prompts.map((prompt, row) => ({ prompt, row }))
  let active: ActiveRow[] = []
  try {
    for (;;) {
      settings.signal?.throwIfAborted()
      // 1) rows take the places of those that left; their prompts are read into the cache
      const joining = waiting
        .splice(0, settings.batchRows - active.length)
        .map(({ prompt, row }) => startedRow(context, prompt, row, settings))
      await remember(session, generation, joining.filter(({ prompt }) => prompt.context.length > 0).map(contextPart))
      active.push(...joining)
      // A block without anything to choose ends before its first step.
      const idle = active.filter(({ block }) => isIdle(block, context.mask, settings.extraCorrectionSteps))
      const steps = idle.map((row) => ({ row, step: undefined }))
      if (active.length === 0) return

      // 2) one denoising step of the others
      const working = active.filter((row) => !idle.includes(row))
      const stepped = await denoise(context, generation, working, settings)
      settings.signal?.throwIfAborted()

      // 3) finished blocks: the row ends, or its block joins the cache and the next begins
      const finished: ActiveRow[] = []
      const ended = new Set<ActiveRow>()
      const reports: DenoisingStep[] = []
      for (const { row, step } of [...steps, ...stepped]) {
        const isDone = step === undefined || isFinished(row.block, step.change, settings.extraCorrectionSteps)
        const stop = isDone ? stopOf(context, row, settings) : undefined
        if (isDone) row.statistics.push(statisticsOf(row.block))
        if (stop !== undefined) ended.add(row)
        else if (isDone) finished.push(row)
        reports.push(reportOf(context, row, step, stop))
      }
      await remember(session, generation, finished.map(blockPart))
      for (const row of finished) nextBlock(context, row, settings)
      const left = active.filter((row) => ended.has(row))
      if (left.length > 0)
        await session.forget(
          generation,
          Int32Array.from(left, ({ slot }) => slot),
        )
      active = active.filter((row) => !ended.has(row))
      yield* reports.sort((a, b) => a.row - b.row)
    }
  } finally {
    await session.forget(generation, new Int32Array(0)).catch((error: unknown) => {
      // A model that was disposed has forgotten already.
      if (!isMergeError(error, 'ERR_DISPOSED')) throw error
    })
  }
}

function startedRow(context: GenerateContext, prompt: PromptRow, row: number, settings: GenerateConfig): ActiveRow {
  const answer = new Int32Array(0)
  const block = blockAt(context, prompt, 0, settings)
  const evaluations = prompt.context.length > 0 ? 1 : 0
  return { row, prompt, slot: row, index: 0, answer, block, draws: 0, evaluations, statistics: [] }
}

// The block that begins at this place of the answer.
function blockAt(context: GenerateContext, prompt: PromptRow, from: number, settings: GenerateConfig): BlockState {
  const length = Math.min(settings.blockLength ?? context.blockLength, prompt.limit - from)
  const tokens = new Int32Array(length).fill(context.mask)
  tokens.set(prompt.given.subarray(from, from + length))
  const locked = new Uint8Array(length)
  locked.set(prompt.locked.subarray(from, from + length))
  return newBlock(tokens, locked, context.mask, settings)
}

function nextBlock(context: GenerateContext, row: ActiveRow, settings: GenerateConfig): void {
  row.answer = Int32Array.from([...row.answer, ...row.block.tokens])
  row.evaluations++
  row.index++
  row.block = blockAt(context, row.prompt, row.answer.length, settings)
}

interface RowPart {
  readonly slot: number
  readonly tokens: Int32Array
  readonly positions: Int32Array
}

const contextPart = ({ slot, prompt }: ActiveRow): RowPart => {
  return { slot, tokens: prompt.context, positions: prompt.contextPositions }
}

const blockPart = ({ slot, prompt, answer, block }: ActiveRow): RowPart => {
  const first = prompt.start + answer.length
  return { slot, tokens: block.tokens, positions: block.tokens.map((_, place) => first + place) }
}

function cachedRows(generation: number, parts: readonly RowPart[]) {
  return {
    ...packRows(parts.map(({ tokens }) => tokens)),
    generation,
    positions: packRows(parts.map(({ positions }) => positions)).tokens,
    slots: Int32Array.from(parts, ({ slot }) => slot),
  }
}

async function remember(session: GenerateContext['session'], generation: number, parts: readonly RowPart[]) {
  if (parts.length > 0) await session.remember(cachedRows(generation, parts))
}

interface Step {
  readonly change: BlockChange
  readonly confidence: Float32Array
}

// One step of each row. Rows that rank and rows that go by threshold take a call each; mostly there is one kind.
async function denoise(
  context: GenerateContext,
  generation: number,
  rows: readonly ActiveRow[],
  settings: GenerateConfig,
): Promise<{ row: ActiveRow; step: Step | undefined }[]> {
  const { mask, tokenizer } = context
  const planned = rows.map((row) => {
    return { row, plan: planStep(row.block, mask, settings, { key: row.prompt.key, draw: row.draws }) }
  })
  const steps: { row: ActiveRow; step: Step }[] = []
  for (const policy of ['rank', 'threshold'] as const) {
    const group = planned.filter(({ plan }) => plan.policy === policy)
    if (group.length === 0) continue
    const output = await context.session.denoise(
      denoiseRecord(settings, { policy, vocabulary: tokenizer.vocabularySize }),
      cachedRows(
        generation,
        group.map(({ row }) => blockPart(row)),
      ),
      packFlags(group.map(({ plan }) => plan.fate)),
      forbiddenIds(context),
      columnsOf(group),
    )
    const offsets = packRows(group.map(({ row }) => row.block.tokens))
    group.forEach(({ row }, index) => {
      steps.push({ row, step: takeStep(context, row, output, rowRange(offsets, index), settings) })
    })
  }
  return steps
}

function columnsOf(group: readonly { row: ActiveRow; plan: StepPlan }[]) {
  return {
    keep: Float64Array.from(group, ({ plan }) => plan.keep),
    fillThreshold: Float64Array.from(group, ({ plan }) => plan.fillThreshold),
    remaskThreshold: Float64Array.from(group, ({ plan }) => plan.remaskThreshold),
    key: Float64Array.from(group, ({ row }) => row.prompt.key),
    draw: Float64Array.from(group, ({ row }) => row.draws),
  }
}

function takeStep(
  context: GenerateContext,
  row: ActiveRow,
  output: NativeDenoise,
  [start, end]: readonly [number, number],
  settings: GenerateConfig,
): Step {
  const { block, change } = steppedBlock(
    row.block,
    { tokens: output.tokens.slice(start, end), probability: output.probability.slice(start, end) },
    { mask: context.mask, detectCycles: settings.detectCycles, sampler: settings.sampler },
  )
  row.block = block
  row.draws++
  row.evaluations++
  return { change, confidence: output.confidence.slice(start, end) }
}

// Special tokens are places, not text; only the end of text may be written.
function forbiddenIds({ tokenizer, mask, endOfText }: GenerateContext): Int32Array {
  const { pad, bos, eos, sep } = tokenizer.special
  return Int32Array.from(
    new Set([pad, bos, eos, sep].filter((id) => id >= 0 && id !== mask && !endOfText.includes(id))),
  )
}

// Why a row ends with its finished block; undefined where it goes on.
function stopOf(context: GenerateContext, row: ActiveRow, settings: GenerateConfig): AnswerStop | undefined {
  const isEnd = settings.stopAtEndOfText && row.block.tokens.some((token) => context.endOfText.includes(token))
  if (isEnd) return 'endOfText'
  return row.answer.length + row.block.tokens.length >= row.prompt.limit ? 'length' : undefined
}

function reportOf(
  context: GenerateContext,
  row: ActiveRow,
  step: Step | undefined,
  stop: AnswerStop | undefined,
): DenoisingStep {
  const { tokenizer, mask } = context
  const start = row.answer.length
  const tokens = Int32Array.from([...row.answer, ...row.block.tokens])
  const places = (within: Int32Array | undefined) => (within ?? new Int32Array(0)).map((place) => start + place)
  const result =
    stop === undefined
      ? undefined
      : answerOf(tokenizer, context.endOfText, {
          tokens,
          stopReason: stop,
          evaluations: row.evaluations,
          blocks: row.statistics,
          around: row.prompt.around,
        })
  return {
    row: row.row,
    block: row.index,
    step: row.block.step,
    tokens,
    text: tokenizer.decode(tokens.filter((token) => token !== mask)),
    start,
    unmasked: places(step?.change.unmasked),
    remasked: places(step?.change.remasked),
    masked: places(step?.change.masked),
    confidence: step?.confidence ?? new Float32Array(row.block.tokens.length),
    ...(result === undefined ? {} : { result }),
  }
}
