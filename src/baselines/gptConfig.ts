// The shape of the autoregressive baseline: its schema, and the record that opens a session.

import { z } from 'zod'
import { above, placement, whole } from '../config/fields.js'
import type { NativeRecord } from '../native.js'

const id = whole(0, 2 ** 24)

const fields = z.strictObject({
  layers: whole(1, 256).default(4).describe('blocks'),
  width: whole(2, 16384).default(128).describe('model dimension D'),
  heads: whole(1, 256).default(4).describe('attention heads H; divides width'),
  keyHeads: whole(1, 256).optional().describe('heads of keys and values; divides heads. Default: as many as heads'),
  feedForward: whole(1, 131072)
    .optional()
    .describe('inner width of SwiGLU; default 8/3 of width, up to a multiple of 8 (LLaMA)'),
  embeddings: whole(1, 2 ** 24)
    .optional()
    .describe("rows of the embedding; default: the tokenizer's vocabulary"),
  vocabulary: whole(1, 2 ** 24)
    .optional()
    .describe("ids below it may be written; default: the tokenizer's vocabulary"),
  maxLength: whole(2, 1 << 20)
    .default(1024)
    .describe('most tokens of a row, prompt and answer together'),
  ropeBase: above(1, 1e9).default(10_000).describe('base of the rotary positions'),
  normEpsilon: above(0, 1e-2).default(1e-5).describe('epsilon of RMSNorm'),
  tiedHead: z.boolean().default(false).describe('whether the head shares the matrix of the embedding'),
  endOfText: z.array(id).readonly().optional().describe("ids that end a row; default: the tokenizer's end of text"),
  weightDtype: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('how matrices are held; bfloat16 halves the memory of a model that is only run'),
  ...placement,
})

/** The shape of an autoregressive model and where it runs. */
export const gptConfig = fields
  .transform((config) => ({
    ...config,
    keyHeads: config.keyHeads ?? config.heads,
    feedForward: config.feedForward ?? 8 * Math.ceil(config.width / 3),
  }))
  .superRefine(({ width, heads, keyHeads }, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if (width % (2 * heads) !== 0) {
      refuse('heads', `expected width / heads to be an even number, received ${width} / ${heads}`)
    }
    if (heads % keyHeads !== 0) refuse('keyHeads', `expected a divisor of heads ${heads}, received ${keyHeads}`)
  })

export type GptConfig = Readonly<z.output<typeof gptConfig>>
export type GptOptions = z.input<typeof gptConfig>

/** How a session begins. `blank`: the weights come from a file, none are drawn. */
export interface GptStart {
  readonly seed: number
  readonly start: 'random' | 'blank'
}

/** The record that opens a native session; its names are the engine's. */
export function gptRecord(config: GptConfig, embeddings: number, start: GptStart): NativeRecord {
  const { layers, width, heads, keyHeads, feedForward, maxLength, ropeBase, normEpsilon, tiedHead } = config
  const { weightDtype, dtype, device, matmulPrecision } = config
  return {
    family: 'gpt',
    layers,
    width,
    heads,
    keyHeads,
    feedForward,
    maxLength,
    ropeBase,
    normEpsilon,
    tiedHead,
    weightDtype,
    dtype,
    device,
    matmulPrecision,
    vocabulary: embeddings,
    ...start,
  }
}
