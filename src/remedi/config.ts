// The shape of a RemeDi model: its schema, the rule for the policy blocks' places, and the record that opens a session.

import { z } from 'zod'
import { blockDefaults, checkHeads } from '../config/blocks.js'
import { whole } from '../config/fields.js'
import { loraConfig, loraRecord } from '../config/lora.js'
import { type StreamStart, streamFields, streamRecord } from '../config/tokenStream.js'
import type { NativeRecord } from '../native.js'

const fields = z.strictObject({
  ...streamFields,
  blockLength: whole(1, 4096).default(32).describe('tokens of an answer block, L (section 2)'),
  scaledLogits: z.boolean().default(false).describe('whether logits are divided by the square root of width'),
  policyBlocks: whole(1, 64)
    .optional()
    .describe('blocks of the policy stream, m; default 1 under 3 layers, 2 under 24, 4 from there (section 1)'),
  policyPositions: z
    .array(whole(0, 255))
    .min(1, 'expected at least one')
    .readonly()
    .optional()
    .describe('the token block that each policy block follows; default round(i (n - 2) / (m - 1)), the last for m = 1'),
  mask: whole(0, 2 ** 24)
    .optional()
    .describe("id of the mask; default: the tokenizer's"),
  lora: loraConfig
    .optional()
    .describe('low-rank updates learn, and all other weights stay as they are. Default: all weights learn'),
})

/** The shape of a RemeDi model and where it runs. */
export const remediConfig = fields
  .transform((config) => {
    const policyBlocks =
      config.policyBlocks ?? config.policyPositions?.length ?? (config.layers < 3 ? 1 : config.layers < 24 ? 2 : 4)
    return {
      ...config,
      ...blockDefaults(config),
      policyBlocks,
      policyPositions: config.policyPositions ?? policyPositions(config.layers, policyBlocks),
    }
  })
  .superRefine((config, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const { layers, policyBlocks, policyPositions: positions } = config
    checkHeads(config, context)
    if (positions.length > policyBlocks) {
      refuse('policyBlocks', `expected at least ${positions.length}, as policyPositions has, received ${policyBlocks}`)
    }
    const rises = positions.every((position, i) => position < layers && position > (positions[i - 1] ?? -1))
    if (!rises) {
      refuse('policyPositions', `expected rising numbers 0..${layers - 1}, received ${positions.join(', ')}`)
    }
  })

export type RemediConfig = Readonly<z.output<typeof remediConfig>>
export type RemediOptions = z.input<typeof remediConfig>

/**
 * The token blocks that `count` policy blocks follow in a model of `layers`: spread evenly from the first block to the last
 * but one; a single one follows the last (section 1; 32 layers and 4 blocks: 0, 10, 20, 30).
 */
export function policyPositions(layers: number, count: number): readonly number[] {
  if (count === 1) return [layers - 1]
  return Array.from({ length: count }, (_, i) => Math.round((i * (layers - 2)) / (count - 1)))
}

/** What is known of a model once it has a tokenizer. */
export interface RemediIds {
  /** Rows of the embedding. */
  readonly embeddings: number
  readonly mask: number
}

/** The record that opens a native session; its names are the engine's. */
export function remediRecord(config: RemediConfig, ids: RemediIds, start: StreamStart): NativeRecord {
  const { scaledLogits, policyBlocks } = config
  return {
    family: 'remedi',
    ...streamRecord(config, ids.embeddings, start),
    scaledLogits,
    policyBlocks,
    policyPositions: config.policyPositions.join(','),
    mask: ids.mask,
    ...loraRecord(config.lora),
  }
}
