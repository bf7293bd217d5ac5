// The schema of a model: its shape, and where it runs.

import { z } from 'zod'
import type { NativeRecord } from '../native.js'
import { blockDefaults, blockFields, checkHeads } from './blocks.js'
import { encoderFields } from './encoder.js'
import { placement, whole } from './fields.js'

/** What a profile means for the options that are left out (section 1). */
export const profileDefaults = {
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

/** Where the number of masks comes from (section 2). */
export const countSources = ['counts', 'poisson', 'length', 'literal', 'budget'] as const

/** The options of a MERGE model as they are given; `modelConfig` fills in what is left out. */
export const modelFields = z.strictObject({
  profile: z
    .enum(['aligned', 'literal'])
    .default('aligned')
    .describe('aligned: each decision learns from the edit oracle; literal: the formulas of the seed (section 1)'),
  ...blockFields,
  layers: blockFields.layers
    .unwrap()
    .default(3)
    .describe('encoder blocks (reference size 12; 3 learns in minutes on a CPU)'),
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
export const modelConfig = modelFields.superRefine(checkHeads).transform((config) => {
  const defaults = profileDefaults[config.profile]
  return {
    ...config,
    ...blockDefaults(config),
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
