// The configuration schemas: every option with its type, range, unit, default and source. Defaults stand here alone.

import { z } from 'zod'
import { encoderFields } from './encoderFields.js'
import type { NativeRecord } from './native.js'
import { type Schedule, scheduleValues, warmupThenLinear } from './training/schedule.js'

export const number = (low: number, high: number) => {
  const expected = high === Infinity ? `expected a number >= ${low}` : `expected ${low}..${high}`
  return z.number(expected).min(low, expected).max(high, expected)
}
export const above = (low: number, high: number) => {
  const expected = `expected a number above ${low}${high === Infinity ? '' : `, at most ${high}`}`
  return z.number(expected).gt(low, expected).max(high, expected)
}
export const whole = (low: number, high: number) => {
  const expected = `expected a whole number ${high === Infinity ? `>= ${low}` : `${low}..${high}`}`
  return z.int(expected).min(low, expected).max(high, expected)
}
const seed = whole(0, Number.MAX_SAFE_INTEGER).default(0).describe('seed of every random number (0..2^53 - 1)')

/** Where a model runs: the only options of a loaded model that may differ from the saved one. */
const placement = {
  dtype: z.enum(['float32', 'bfloat16']).default('float32').describe('compute type; weights are always float32'),
  device: z
    .string()
    .regex(/^(cpu|cuda:\d+)$/, 'expected "cpu" or "cuda:<n>"')
    .default('cpu')
    .describe('where the model runs: cpu or cuda:<n>; never changed silently'),
  matmulPrecision: z
    .enum(['highest', 'medium'])
    .default('highest')
    .describe('medium: float32 matrices may be multiplied in bfloat16 where the processor has it (AMX), as in PyTorch'),
}

// Decision: the profiles of spec section 1. What a profile means for the options that are left out.
const profileDefaults = {
  aligned: {
    localMix: 7,
    positions: 'rope',
    deleter: 'block',
    inserter: 'block',
    countSource: 'counts',
    gateFeatures: 'doubt',
    condition: 'carry',
  },
  literal: {
    localMix: 0,
    positions: 'relative',
    deleter: 'linear',
    inserter: 'pointer',
    countSource: 'literal',
    gateFeatures: 'mean',
    condition: 'none',
  },
} as const

const countSources = ['counts', 'poisson', 'length', 'literal', 'budget'] as const

const modelFields = z.strictObject({
  profile: z
    .enum(['aligned', 'literal'])
    .default('aligned')
    .describe('aligned: each decision learns from the edit oracle; literal: the formulas of the seed (section 1)'),
  layers: whole(1, 256).default(3).describe('encoder blocks (reference size 12; 3 learns in minutes on a CPU)'),
  width: whole(2, 16384).default(128).describe('model dimension D (reference size 768)'),
  heads: whole(1, 256).default(4).describe('attention heads H; divides width (reference size 12)'),
  keyHeads: whole(1, 256)
    .optional()
    .describe('heads of keys and values, each shared by heads / keyHeads queries (LLaMA 2 GQA); default: heads'),
  feedForward: whole(1, 65536)
    .optional()
    .describe('inner width of SwiGLU; default 8/3 of width, up to a multiple of 8 (LLaMA)'),
  maxLength: whole(1, 32768).default(256).describe('most tokens of a row, sentinels not counted (section 1)'),
  maxInsert: whole(1, 1024).default(16).describe('most masks per gap and round, K_max (H1)'),
  localMix: whole(0, 63)
    .refine((taps) => taps === 0 || taps % 2 === 1, 'expected 0 or an odd number up to 63')
    .optional()
    .describe(
      'taps of a depthwise convolution over the embeddings, so that a character meets its neighbours; 0: none ' +
        '(default 7; literal: 0)',
    ),
  positions: z
    .enum(['rope', 'relative', 'absolute'])
    .optional()
    .describe(
      'rope: queries and keys turn; relative: T5 buckets of distances; absolute: a learned table (section 1; default rope; literal: relative)',
    ),
  ...encoderFields,
  ropeBase: above(1, 1e9).default(10_000).describe('base of the rotary positions (LLaMA)'),
  normEpsilon: above(0, 1e-2).default(1e-5).describe('epsilon of RMSNorm and LayerNorm'),
  deleter: z
    .enum(['block', 'linear'])
    .optional()
    .describe('D1: a block before the linear layer, or none (H16; default block; literal: linear)'),
  inserter: z
    .enum(['block', 'linear', 'pointer'])
    .optional()
    .describe('D2: a block over the kept states, none, or a bidirectional GRU (H1; default block; literal: pointer)'),
  countSource: z
    .enum(countSources)
    .optional()
    .describe(
      'where the number of masks comes from: a count per gap, an expected count, the total of the row, the length ' +
        'difference of the seed, or that up to a wanted length (section 2; default counts; literal: literal)',
    ),
  gateFeatures: z
    .enum(['doubt', 'mean'])
    .optional()
    .describe('what the gate reads; doubt: one wrong token can move it (H14; default doubt; literal: mean)'),
  condition: z
    .enum(['none', 'carry', 'draft'])
    .optional()
    .describe(
      'what the filler may see of deleted tokens (H30): nothing, their mean embedding, or the whole draft before the ' +
        'row (default carry; literal: none)',
    ),
  encodings: z
    .enum(['one', 'two', 'three'])
    .default('two')
    .describe("encoder passes per round (H17); one: the last round's filling serves gate and deleter, too"),
  ...placement,
})

/** The shape of a model and where it runs. */
export const modelConfig = modelFields
  .superRefine((config, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (config.width % (2 * config.heads) !== 0) {
      refuse('heads', `expected width / heads to be an even number, received ${config.width} / ${config.heads}`)
    }
    if (config.heads % (config.keyHeads ?? 1) !== 0) {
      refuse('keyHeads', `expected a divisor of heads ${config.heads}, received ${config.keyHeads}`)
    }
  })
  .transform((config) => {
    const defaults = profileDefaults[config.profile]
    return {
      ...config,
      keyHeads: config.keyHeads ?? config.heads,
      feedForward: config.feedForward ?? 8 * Math.ceil(config.width / 3),
      localMix: config.localMix ?? defaults.localMix,
      positions: config.positions ?? defaults.positions,
      deleter: config.deleter ?? defaults.deleter,
      inserter: config.inserter ?? defaults.inserter,
      countSource: config.countSource ?? defaults.countSource,
      gateFeatures: config.gateFeatures ?? defaults.gateFeatures,
      condition: config.condition ?? defaults.condition,
    }
  })

export type ModelConfig = Readonly<z.output<typeof modelConfig>>
export type ModelOptions = z.input<typeof modelConfig>

// What imported weights decide.
const shape = {
  layers: true,
  width: true,
  heads: true,
  keyHeads: true,
  feedForward: true,
  localMix: true,
  positions: true,
  ropeBase: true,
  normEpsilon: true,
  norm: true,
  normPlace: true,
  embeddingNorm: true,
  biases: true,
  activation: true,
  head: true,
  attentionWindow: true,
  globalEvery: true,
  localRopeBase: true,
} as const

/** The shape of an encoder and its head: what imported weights decide; what is left out has its default. */
export type EncoderShape = Pick<ModelOptions, keyof typeof shape>

/** The encoder's shape among a model's options. */
export function encoderShape(config: ModelConfig): EncoderShape {
  return modelFields.pick(shape).strip().parse(config)
}

/** What stays free in a model whose encoder and head start from a folder's weights. */
export const pretrainedConfig = modelFields.omit(shape).extend({
  maxLength: modelFields.shape.maxLength
    .unwrap()
    .optional()
    .describe(
      'most tokens of a row, sentinels not counted; default 256, or less where the weights know fewer positions',
    ),
})

export type PretrainedConfig = z.output<typeof pretrainedConfig>
export type PretrainedOptions = z.input<typeof pretrainedConfig>

/** What `MergeModel.load` may change: device, dtype and matmulPrecision; left out, they stay as saved. */
export const placementConfig = z.strictObject({
  dtype: placement.dtype.unwrap().optional(),
  device: placement.device.unwrap().optional(),
  matmulPrecision: placement.matmulPrecision.unwrap().optional(),
})

/** The tokenizer's part of the record that opens a session. */
export interface VocabularyRecord {
  readonly vocabulary: number
  readonly pad: number
  readonly bos: number
  readonly eos: number
  readonly mask: number
  readonly sep: number
}

/** The record that opens a native session; its names are the engine's. */
export function modelRecord(config: ModelConfig, vocabulary: VocabularyRecord, modelSeed: number): NativeRecord {
  return { family: 'merge', ...config, ...vocabulary, seed: modelSeed }
}

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
      z.strictObject({ chain: z.array(scheduleConfig).min(1, 'expected at least one piece') }),
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

const recipeFields = z.strictObject({
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
