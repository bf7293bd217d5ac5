// The schema of a recipe: how a model is trained, and the record of a step.

import { z } from 'zod'
import type { NativeRecord } from '../native.js'
import { everyPieceCounts, type Schedule, scheduleValues, warmupThenLinear } from '../training/schedule.js'
import { above, number, seed, whole } from './fields.js'
import type { ModelConfig } from './model.js'

const rampFields = {
  from: z.number('expected a number'),
  to: z.number('expected a number'),
  start: number(0, Infinity).optional(),
}
const ramp = z.union([
  z.strictObject({ ...rampFields, steps: number(0, Infinity) }),
  z.strictObject({ ...rampFields, share: number(0, 1) }),
])
const scheduleExpected = 'expected a number or one of { constant }, { linear }, { cosine }, { chain }'

/** A number, or how it changes during a run. */
export const scheduleConfig: z.ZodType<Schedule, Schedule> = z.lazy(() =>
  z.union(
    [
      z.number(scheduleExpected),
      z.strictObject({ constant: z.number('expected a number') }),
      z.strictObject({ linear: ramp }),
      z.strictObject({ cosine: ramp }),
      z.strictObject({
        chain: z
          .array(scheduleConfig)
          .min(1, 'expected at least one piece')
          .refine(everyPieceCounts, 'expected pieces whose starts rise, in one unit: steps or share'),
      }),
    ],
    scheduleExpected,
  ),
)

const weights = z
  .strictObject({
    recon: number(0, Infinity).default(1).describe('weight of L_recon, the fill loss'),
    compression: number(0, Infinity).default(0.5).describe('lambda 1, weight of L_comp, the keep loss'),
    pointer: number(0, Infinity).default(0.5).describe('lambda 2, weight of L_ptr, the count loss'),
    gate: number(0, Infinity).default(0.1).describe('lambda 3, weight of L_gate'),
    length: number(0, Infinity).default(0.1).describe('lambda 4, weight of R_len'),
  })
  .prefault({})

const best = z.strictObject({
  metric: z.string('expected a name').min(1, 'expected a name').describe('a number of the evaluation, such as exact'),
  mode: z.enum(['max', 'min']).default('max').describe('whether more or less of it is better'),
})

/** Which evaluation is the best of a run. */
export type BestRule = Readonly<z.output<typeof best>>

const drafts = z
  .strictObject({
    task: number(0, Infinity).default(0.7).describe("the example's own draft; skipped for an example that has none"),
    noised: number(0, Infinity)
      .default(0.1)
      .describe('the target with 5-40 % substitutions, deletions, insertions, swaps, moved spans'),
    subsequence: number(0, Infinity).default(0.1).describe('a random subsequence of the target, keep rate U(0, 1)'),
    empty: number(0, Infinity).default(0.03).describe('no token at all: the model writes freely'),
    fragment: number(0, Infinity)
      .default(0.02)
      .describe('one contiguous piece of the target, or all but one: the model continues, or fills in'),
    finished: number(0, Infinity).default(0.05).describe('the target itself: the model learns to leave it alone'),
  })
  .prefault({})
  .refine(
    (shares) => Object.values(shares).some((share) => share > 0),
    'expected at least one share above 0, received none',
  )

/** The share of each kind of draft a training row starts from (H28). */
export type DraftShares = Readonly<z.output<typeof drafts>>

const samplerTemperature = scheduleConfig.refine(
  (schedule) => scheduleValues(schedule).every((value) => value > 0 && Number.isFinite(value)),
  'expected values above 0',
)

/** The options of a MERGE recipe; those of other families take from them what they share. */
export const recipeFields = z.strictObject({
  steps: whole(1, 1e9).optional().describe('optimizer steps; the run ends at steps or minutes, whichever comes first'),
  minutes: above(0, 1e6).optional().describe('wall time of the run in minutes; schedules then follow the clock'),
  seed,
  batchRows: whole(1, 65536).default(48).describe('rows per optimizer step (small batches learn faster here)'),
  batchTokens: whole(1, 1e8)
    .default(16_384)
    .describe('most target tokens per optimizer step; a longer batch is cut short'),
  poolRows: whole(1, 1e7).default(16_384).describe('rows read ahead, shuffled, and sorted by length into batches'),
  tooLong: z
    .enum(['error', 'drop'])
    .default('error')
    .describe('a row longer than maxLength ends the run, or is left out and counted'),
  accumulation: whole(1, 4096).default(1).describe('micro-batches per optimizer step'),
  rounds: whole(1, 64).default(2).describe('most rounds unrolled; each step draws U(1, rounds) (H25)'),
  learningRate: scheduleConfig
    .default(() => warmupThenLinear(3e-3))
    .describe('AdamW step size, a schedule (3e-3 for a small model, 3e-5 for the reference size)'),
  beta1: number(0, 0.9999).default(0.9).describe('AdamW, decay of the first moment'),
  beta2: number(0, 0.999999).default(0.999).describe('AdamW, decay of the second moment'),
  epsilon: above(0, 1).default(1e-8).describe('AdamW, added to the denominator'),
  weightDecay: number(0, 10).default(0.01).describe('AdamW, decoupled weight decay'),
  clip: number(0, Infinity).default(2).describe('largest gradient norm (section 6); 0: no clipping'),
  losses: weights.describe('weights of the five terms (section 5)'),
  labelSmoothing: number(0, 0.9999).default(0).describe('smoothing of the fill loss (.1 by option, section 5)'),
  keepReduction: number(0, 1).default(0.2).describe('rho: share of tokens an edit is expected to delete (H9)'),
  keepKl: number(0, Infinity).default(0.1).describe('weight of the KL inside L_comp (H9)'),
  countSmoothing: number(0, 0.9999).default(0.01).describe('smoothing of the count targets (H10)'),
  scoreEntropy: number(0, Infinity).default(1e-3).describe('weight of the entropy bonus of the gap scores (H10)'),
  gateCost: number(0, Infinity).default(0.05).describe('c: cost of opening the gate (H11)'),
  temperature: samplerTemperature
    .default({ linear: { from: 2, to: 1, start: 5000, steps: 5000 } })
    .describe('of the straight-through samplers, above 0, a schedule (section 6)'),
  gradient: z
    .enum(['stop', 'st', 'gumbel'])
    .default('stop')
    .describe('what reaches a round from the next one: nothing, or the straight-through choice of its tokens (H7)'),
  window: whole(1, 64)
    .optional()
    .describe(
      'rounds that a gradient goes back through (truncated back-propagation); default 1, with one encoding a round ' +
        'all of them',
    ),
  deletion: z
    .enum(['hard', 'soft'])
    .default('hard')
    .describe(
      'soft: deleted tokens stay as keys that hardly count, so that the fill reaches the deleter (H8); the literal ' +
        'profile always does so',
    ),
  firstRound: z
    .enum(['gate', 'generate'])
    .optional()
    .describe('who decides in the first round; generate: it deletes nothing (H13; default gate; literal: generate)'),
  editThreshold: number(0, 1).default(0.5).describe('tau_edit: the gate opens above it, in training'),
  reconstruction: z
    .enum(['oracle', 'positional', 'axe', 'oaxe', 'ctc'])
    .optional()
    .describe(
      "what the fill is compared with: the oracle's tokens, the target position by position, or the target under an " +
        'alignment: monotone (AXE), of any order (OAXE), with blanks (CTC) (section 5; default oracle; literal: positional)',
    ),
  axePenalty: number(0, 1000).default(1).describe('delta of AXE: what a target token that the alignment skips costs'),
  task: z
    .enum(['merge', 'pretrain'])
    .default('merge')
    .describe('merge: all of the model by its losses; pretrain: encoder and head alone, by masked tokens (H23)'),
  maskShare: z
    .tuple([number(0, 1), number(0, 1)], 'expected [least, most]')
    .readonly()
    .default([0.05, 0.5])
    .describe(
      'pretrain: the share of masked tokens, drawn for each row between the two; wide, since rounds meet rows with ' +
        'one mask and rows of masks alone (BERT: .15)',
    )
    .refine(([least, most]) => least <= most, 'expected [least, most], received them the other way'),
  freezeLayers: whole(0, 256)
    .default(0)
    .describe(
      'blocks of a pretrained encoder that do not learn at first, from below, and the embedding with them, which is ' +
        'the tied head, too (section 6: 6)',
    ),
  freezeSteps: whole(0, 1e9).default(10_000).describe('optimizer steps until they learn (section 6)'),
  gateNoise: number(0, 1).default(0.05).describe('standard deviation of the gate noise (H22)'),
  gateNoiseShare: number(0, 1).default(0.1).describe('share of the run with gate noise, from its start (H22)'),
  drafts: drafts.describe('shares of the drafts a row starts from (H28)'),
  ownFill: number(0, 1).default(0.5).describe("share of rows whose deletion state is the model's own fill (H6)"),
  ownDeletion: number(0, 1)
    .default(0.5)
    .describe("share of rows whose insertion state follows the model's own deletion (H6)"),
  subsequence: number(0, 1)
    .default(0.5)
    .describe('share of rows whose insertion state is a random subsequence of the target (H6)'),
  saveEvery: whole(0, 1e9).default(500).describe('steps between checkpoints of a run that has a folder; 0: none'),
  keep: whole(1, 1e6).default(3).describe('checkpoints kept; older ones are removed'),
  evaluateEvery: whole(0, 1e9).default(0).describe('steps between evaluations; 0: none'),
  best: best.optional().describe('keeps the checkpoint with the best evaluation as checkpoints/best; absent: none'),
})

/** How a MERGE model is trained. */
export const recipe = recipeFields.superRefine(checkBest).transform(withLength)

/** What the recipes of all families have. */
export const commonRecipe = recipeFields.pick({
  steps: true,
  minutes: true,
  seed: true,
  batchRows: true,
  batchTokens: true,
  poolRows: true,
  tooLong: true,
  accumulation: true,
  learningRate: true,
  beta1: true,
  beta2: true,
  epsilon: true,
  weightDecay: true,
  clip: true,
  saveEvery: true,
  keep: true,
  evaluateEvery: true,
  best: true,
})

/** Refuses a recipe that names the best of no evaluation. */
export function checkBest(options: Pick<CommonRecipe, 'best' | 'evaluateEvery'>, context: z.RefinementCtx): void {
  if (options.best === undefined || options.evaluateEvery > 0) return
  const message = 'expected with evaluateEvery above 0, received evaluateEvery 0'
  context.addIssue({ code: 'custom', path: ['best'], message })
}

/** The recipe with a length: only one that names neither steps nor minutes runs 10,000 steps. */
export function withLength<T extends Pick<CommonRecipe, 'steps' | 'minutes'>>(options: T) {
  return { ...options, steps: options.steps ?? (options.minutes === undefined ? defaultSteps : undefined) }
}

const defaultSteps = 10_000

/** What the optimizer's update reads off the record of any step; its names are the engine's. */
export function updateRecord(config: CommonRecipe) {
  const { seed, beta1, beta2, epsilon, weightDecay, clip, accumulation } = config
  return { seed, beta1, beta2, epsilon, weightDecay, clip, accumulation }
}

/** What the recipes of all families say. */
export type CommonRecipe = Readonly<z.output<typeof commonRecipe>>
/** The weights of the five terms. */
export type LossWeights = Readonly<z.output<typeof weights>>
export type Recipe = Readonly<z.output<typeof recipe>>
export type RecipeOptions = z.input<typeof recipe>

/** What one step decides anew; everything else of its record is the recipe's. */
export interface StepChoice {
  /** Optimizer step, from 0. */
  readonly step: number
  readonly rounds: number
  readonly learningRate: number
  readonly gateNoise: number
  readonly temperature: number
}

/** The record of one training step; its names are the engine's. */
export function stepRecord(
  config: Recipe,
  choice: StepChoice,
  model: Pick<ModelConfig, 'profile' | 'encodings'>,
): NativeRecord {
  const isLiteral = model.profile === 'literal'
  return {
    ...choice,
    task: config.task,
    frozenLayers: choice.step < config.freezeSteps ? config.freezeLayers : 0,
    maskFrom: config.maskShare[0],
    maskTo: config.maskShare[1],
    gradient: config.gradient,
    window: config.window ?? (model.encodings === 'one' ? choice.rounds : 1),
    deletion: config.deletion,
    firstRound: config.firstRound ?? (isLiteral ? 'generate' : 'gate'),
    editThreshold: config.editThreshold,
    axePenalty: config.axePenalty,
    reconstruction: config.reconstruction ?? (isLiteral ? 'positional' : 'oracle'),
    ...updateRecord(config),
    weightRecon: config.losses.recon,
    weightCompression: config.losses.compression,
    weightPointer: config.losses.pointer,
    weightGate: config.losses.gate,
    weightLength: config.losses.length,
    keepReduction: config.keepReduction,
    keepKl: config.keepKl,
    countSmoothing: config.countSmoothing,
    scoreEntropy: config.scoreEntropy,
    gateCost: config.gateCost,
    labelSmoothing: config.labelSmoothing,
    ownDeletion: config.ownDeletion,
    subsequence: config.subsequence,
    ownFill: config.ownFill,
  }
}
