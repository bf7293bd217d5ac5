// The shape of a Levenshtein Transformer, how it refines, and the records of both.

import type { z } from 'zod'
import { blockDefaults, checkHeads } from '../config/blocks.js'
import { number, whole } from '../config/fields.js'
import { modelFields, profileDefaults, type VocabularyRecord } from '../config/model.js'
import { batchConfig, draftConfig, type RoundChoice, refineConfig } from '../config/refine.js'
import type { NativeRecord } from '../native.js'

const fields = modelFields.omit({
  profile: true,
  deleter: true,
  inserter: true,
  countSource: true,
  gateFeatures: true,
  condition: true,
  encodings: true,
})

/** The shape of a model and where it runs: MERGE's encoder with its options and defaults, under three linear heads. */
export const levtConfig = fields.superRefine(checkHeads).transform((config) => ({
  ...config,
  ...blockDefaults(config),
  localMix: config.localMix ?? profileDefaults.aligned.localMix,
  positions: config.positions ?? profileDefaults.aligned.positions,
}))

export type LevtConfig = Readonly<z.output<typeof levtConfig>>
export type LevtOptions = z.input<typeof levtConfig>

/** The record that opens a native session; its names are the engine's. */
export function levtRecord(config: LevtConfig, vocabulary: VocabularyRecord, seed: number): NativeRecord {
  return { family: 'levt', ...config, ...vocabulary, seed }
}

/** How rows are refined. A row stops when a round changes nothing or brings an earlier state back (section 3.3). */
export const levtRefineConfig = refineConfig
  .pick({ keepThreshold: true, confidence: true, epsilon: true, signal: true })
  .extend({
    maxRounds: whole(1, 1000).default(10).describe('most rounds (the paper: 10)'),
    emptyPenalty: number(0, 1e6)
      .default(0)
      .describe('gamma: taken off the logit of no placeholder, so that more are inserted (section 3.3: 0..3)'),
    confidenceThreshold: number(0, 1)
      .default(1)
      .describe('a row whose confidence is above it stops; 1: none does, as in the paper'),
  })

export type LevtRefineConfig = Readonly<z.output<typeof levtRefineConfig>>
export type LevtRefineOptions = z.input<typeof levtRefineConfig>

/** How these models edit. */
export const levtEditSchemas = {
  refine: levtRefineConfig,
  draft: levtRefineConfig.extend({ locked: draftConfig.shape.locked }),
  batch: levtRefineConfig.extend({ batchRows: batchConfig.shape.batchRows }),
} as const

/** The record of one refinement round; its names are the engine's. */
export function levtRoundRecord(config: LevtRefineConfig, { shift }: Pick<RoundChoice, 'shift'>): NativeRecord {
  const { keepThreshold, emptyPenalty } = config
  return { keepThreshold, emptyPenalty, shift }
}
