// The schema of refinement: how drafts are edited, and the record of a round.

import { z } from 'zod'
import type { NativeRecord } from '../native.js'
import { above, number, seed, whole } from './fields.js'
import { countSources, type ModelConfig } from './model.js'

const refineFields = z.strictObject({
  mode: z
    .enum(['auto', 'edit', 'gen'])
    .default('auto')
    .describe('auto: the gate decides; edit: always delete; gen: only insert and fill'),
  maxRounds: whole(1, 1000).default(6).describe('most rounds, L (section 7)'),
  editThreshold: number(0, 1).default(0.5).describe('tau_edit: the gate opens above it'),
  keepThreshold: number(0, 1).default(0.5).describe('a token is kept where its keep probability is above it (H15)'),
  fillThreshold: number(0, 1)
    .default(0)
    .describe('a mask filled with less probability waits for a later round (H19); 0: all are filled at once'),
  fillSchedule: z
    .enum(['all', 'linear', 'cosine'])
    .default('all')
    .describe('share of the waiting masks that are filled in a round, the surest first, all by the last one (H19)'),
  firstRound: z
    .enum(['gate', 'generate'])
    .default('gate')
    .describe('generate: the first round deletes nothing, as in the training of the literal profile (H13)'),
  countSource: z
    .enum(countSources)
    .optional()
    .describe("where the number of masks comes from (section 2): the model's own (default), literal or budget"),
  lengthRatio: number(0, 1e6)
    .default(1)
    .describe('countSource literal: masks for each deleted token, at least one in all (section 2)'),
  targetLength: whole(0, 32768)
    .optional()
    .describe('countSource budget: tokens that a row grows to; default the maxLength of the model'),
  temperature: number(0, 100).default(0).describe('of the filler; 0: the most probable token'),
  topK: whole(0, 1e6).default(0).describe('sample among the k most probable tokens; 0: all'),
  topP: above(0, 1).default(1).describe('sample among the most probable tokens that hold this mass'),
  seed,
  confidence: z
    .enum(['mean', 'min', 'geometric'])
    .default('mean')
    .describe('how the confidences of a round become one number'),
  confidenceThreshold: number(0, 1).default(0.9).describe('a row whose confidence is above it stops'),
  epsilon: whole(1, 1e6).default(1).describe('a row that changed by fewer tokens stops; 1: nothing changed'),
  condition: z
    .string('expected a string')
    .optional()
    .describe('stands before every text, is read with it, and never changes: an instruction, a source (H18)'),
  signal: z
    .instanceof(AbortSignal, { error: 'expected an AbortSignal' })
    .optional()
    .describe('ends the call after the running round'),
})
const lockedSpans = z
  .array(z.tuple([whole(0, Infinity), whole(0, Infinity)], 'expected [start, end)'))
  .readonly()
  .default([])
  .describe('spans of the text that never change, [start, end) in UTF-16 offsets')
const batch = whole(1, 65536).default(64).describe('most rows refined together')

/** How rows are refined, whatever they come from. */
export const refineConfig = refineFields
/** How a draft is refined. */
export const draftConfig = refineFields.extend({ locked: lockedSpans })
/** How many drafts are refined. */
export const batchConfig = refineFields.extend({ batchRows: batch })
/** How a text with holes is filled in. */
export const infillConfig = refineFields.extend({
  hole: z.string().min(1, 'expected a text that marks a hole').default('___').describe('what marks a hole in the text'),
})

export type RefineConfig = Readonly<z.output<typeof refineConfig>>
export type RefineOptions = z.input<typeof refineConfig>
export type DraftOptions = z.input<typeof draftConfig>
export type BatchOptions = z.input<typeof batchConfig>
export type InfillOptions = z.input<typeof infillConfig>

/** What one round brings along; everything else of its record is the caller's. */
export interface RoundChoice {
  /** From 0. */
  readonly round: number
  /** Most tokens of a row. */
  readonly maxLength: number
  /** The token that changes the one behind it, -1 if the tokenizer has none: it is never put before a locked token. */
  readonly shift: number
  /** Whose states of the last round are kept (one encoding a round); -1: none are. */
  readonly generation: number
}

/** The record of one refinement round; its names are the engine's. */
export function roundRecord(
  config: RefineConfig,
  choice: RoundChoice,
  model: Pick<ModelConfig, 'countSource'>,
): NativeRecord {
  const { editThreshold, keepThreshold, lengthRatio, temperature, topK, topP, seed } = config
  const left = config.maxRounds - choice.round
  // The last round leaves no mask behind.
  const isLast = left <= 1
  const isScheduled = config.fillSchedule !== 'all' && !isLast
  return {
    mode: choice.round === 0 && config.firstRound === 'generate' ? 'gen' : config.mode,
    editThreshold,
    keepThreshold,
    fillThreshold: isLast ? 0 : isScheduled && config.fillThreshold === 0 ? 1 : config.fillThreshold,
    fillShare: isScheduled ? fillShare(config.fillSchedule, choice.round, config.maxRounds) : 0,
    countSource: config.countSource ?? model.countSource,
    lengthRatio,
    targetLength: Math.min(config.targetLength ?? choice.maxLength, choice.maxLength),
    temperature,
    topK,
    topP,
    seed,
    ...choice,
  }
}

// Of the masks that still wait in this round (from 0): linear leaves equal parts, cosine starts slowly (MaskGIT).
function fillShare(schedule: 'linear' | 'cosine' | 'all', round: number, rounds: number): number {
  if (schedule === 'all') return 1
  const waiting = (done: number): number =>
    schedule === 'linear' ? 1 - done / rounds : Math.cos((Math.PI / 2) * (done / rounds))
  return 1 - waiting(round + 1) / waiting(round)
}
