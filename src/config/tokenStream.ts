// TokenStream: the options of an embedding, LLaMA blocks and a head, as GPT and RemeDi have them, and their record.

import { z } from 'zod'
import type { NativeRecord } from '../native.js'
import { blockFields } from './blocks.js'
import { placement, whole } from './fields.js'

/** The shape of a token stream, and where it runs. */
export const streamFields = {
  ...blockFields,
  embeddings: whole(1, 2 ** 24)
    .optional()
    .describe("rows of the embedding; default: the tokenizer's vocabulary"),
  maxLength: whole(1, 1 << 20)
    .default(1024)
    .describe('most tokens of a row, prompt and answer together'),
  tiedHead: z.boolean().default(false).describe('whether the head shares the matrix of the embedding'),
  endOfText: z
    .array(whole(0, 2 ** 24))
    .readonly()
    .optional()
    .describe(
      "ids that end a row; default: the tokenizer's end of text. Where answers are padded, it is with the first of them",
    ),
  weightDtype: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('how matrices are held; bfloat16 halves the memory of a model that is only run'),
  ...placement,
}

const fields = z.object(streamFields)
type StreamConfig = z.output<typeof fields> & { readonly keyHeads: number; readonly feedForward: number }

/** How a session begins. `blank`: the weights come from a file, none are drawn. */
export interface StreamStart {
  readonly seed: number
  readonly start: 'random' | 'blank'
}

/** What the engine's token stream reads; `embeddings` is the rows of the embedding once there is a tokenizer. */
export function streamRecord(config: StreamConfig, embeddings: number, { seed, start }: StreamStart): NativeRecord {
  const { layers, width, heads, keyHeads, feedForward, maxLength, ropeBase, normEpsilon, tiedHead } = config
  const { weightDtype, dtype, device, matmulPrecision } = config
  return {
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
    seed,
    start,
  }
}
