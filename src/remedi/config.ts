// The shape of a RemeDi model: its schema, the rule for the policy blocks' places, and the record that opens a session.

import { z } from 'zod'
import { above, placement, whole } from '../config/fields.js'
import { loraConfig, loraRecord } from '../config/lora.js'
import type { NativeRecord } from '../native.js'

const id = whole(0, 2 ** 24)

const fields = z.strictObject({
  layers: whole(1, 256).default(4).describe('blocks of the token stream, n (official model 32)'),
  width: whole(2, 16384).default(128).describe('model dimension D of both streams (official model 4096)'),
  heads: whole(1, 256).default(4).describe('attention heads H; divides width (official model 32)'),
  keyHeads: whole(1, 256).optional().describe('heads of keys and values; divides heads. Default: as many as heads'),
  feedForward: whole(1, 131072)
    .optional()
    .describe('inner width of SwiGLU; default 8/3 of width, up to a multiple of 8 (LLaMA)'),
  embeddings: whole(1, 2 ** 24)
    .optional()
    .describe(
      "rows of the embedding; default: the tokenizer's vocabulary. Ids beyond the vocabulary are never written",
    ),
  maxLength: whole(1, 1 << 20)
    .default(1024)
    .describe('most tokens of a row, prompt and answer together'),
  blockLength: whole(1, 4096).default(32).describe('tokens of an answer block, L (section 2)'),
  ropeBase: above(1, 1e9).default(10_000).describe('base of the rotary positions (LLaDA: 500000)'),
  normEpsilon: above(0, 1e-2).default(1e-5).describe('epsilon of RMSNorm'),
  tiedHead: z.boolean().default(false).describe('whether the head shares the matrix of the embedding'),
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
  mask: id.optional().describe("id of the mask; default: the tokenizer's"),
  endOfText: z
    .array(id)
    .readonly()
    .optional()
    .describe(
      "ids that end an answer; default: the tokenizer's end of text. Padding of an answer is the first of them",
    ),
  weightDtype: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('how matrices are held; bfloat16 halves the memory of a model that is only run'),
  lora: loraConfig
    .optional()
    .describe('low-rank updates learn, and all other weights stay as they are. Default: all weights learn'),
  ...placement,
})

/** The shape of a RemeDi model and where it runs. */
export const remediConfig = fields
  .transform((config) => {
    const policyBlocks =
      config.policyBlocks ?? config.policyPositions?.length ?? (config.layers < 3 ? 1 : config.layers < 24 ? 2 : 4)
    return {
      ...config,
      keyHeads: config.keyHeads ?? config.heads,
      feedForward: config.feedForward ?? 8 * Math.ceil(config.width / 3),
      policyBlocks,
      policyPositions: config.policyPositions ?? policyPositions(config.layers, policyBlocks),
    }
  })
  .superRefine((config, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const { width, heads, keyHeads, layers, policyBlocks, policyPositions: positions } = config
    if (width % (2 * heads) !== 0) {
      refuse('heads', `expected width / heads to be an even number, received ${width} / ${heads}`)
    }
    if (heads % keyHeads !== 0) refuse('keyHeads', `expected a divisor of heads ${heads}, received ${keyHeads}`)
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

/** How a session begins. */
export interface RemediStart {
  readonly seed: number
  /** `blank`: the weights come from a file, none are drawn. */
  readonly start: 'random' | 'blank'
}

/** The record that opens a native session; its names are the engine's. */
export function remediRecord(config: RemediConfig, ids: RemediIds, start: RemediStart): NativeRecord {
  const { layers, width, heads, keyHeads, feedForward, maxLength, ropeBase, normEpsilon, tiedHead } = config
  const { scaledLogits, policyBlocks, weightDtype, dtype, device, matmulPrecision } = config
  return {
    family: 'remedi',
    layers,
    width,
    heads,
    keyHeads,
    feedForward,
    maxLength,
    ropeBase,
    normEpsilon,
    tiedHead,
    scaledLogits,
    policyBlocks,
    policyPositions: config.policyPositions.join(','),
    weightDtype,
    dtype,
    device,
    matmulPrecision,
    vocabulary: ids.embeddings,
    mask: ids.mask,
    ...loraRecord(config.lora),
    ...start,
  }
}
