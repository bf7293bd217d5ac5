// The shape of the autoregressive baseline: its schema, and the record that opens a session.

import { z } from 'zod'
import { blockDefaults, checkHeads } from '../config/blocks.js'
import { whole } from '../config/fields.js'
import { type StreamStart, streamFields, streamRecord } from '../config/tokenStream.js'
import type { NativeRecord } from '../native.js'

const fields = z.strictObject({
  ...streamFields,
  maxLength: whole(2, 1 << 20)
    .default(1024)
    .describe('most tokens of a row, prompt and answer together'),
  vocabulary: whole(1, 2 ** 24)
    .optional()
    .describe("ids below it may be written; default: the tokenizer's vocabulary"),
})

/** The shape of an autoregressive model and where it runs. */
export const gptConfig = fields.superRefine(checkHeads).transform((config) => ({ ...config, ...blockDefaults(config) }))

export type GptConfig = Readonly<z.output<typeof gptConfig>>
export type GptOptions = z.input<typeof gptConfig>

/** The record that opens a native session; its names are the engine's. */
export function gptRecord(config: GptConfig, embeddings: number, start: StreamStart): NativeRecord {
  return { family: 'gpt', ...streamRecord(config, embeddings, start) }
}
