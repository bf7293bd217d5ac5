// The shape of the mask-predict baseline: its schema, and the record that opens a session.

import { z } from 'zod'
import { blockDefaults, checkHeads } from '../config/blocks.js'
import { whole } from '../config/fields.js'
import { type StreamStart, streamFields, streamRecord } from '../config/tokenStream.js'
import type { NativeRecord } from '../native.js'

// Rows end where their length says: there is no end of text.
const { endOfText: _, ...stream } = streamFields

const fields = z.strictObject({
  ...stream,
  maxLength: whole(1, 32768).default(256).describe('most tokens of a text, source or target alone'),
  lengthRange: whole(1, 32768)
    .default(64)
    .describe('lengths of targets are told apart from the length of the source less this to that and this more'),
})

/** The shape of a mask-predict model and where it runs. */
export const maskgitConfig = fields
  .superRefine(checkHeads)
  .transform((config) => ({ ...config, ...blockDefaults(config) }))

export type MaskGitConfig = Readonly<z.output<typeof maskgitConfig>>
export type MaskGitOptions = z.input<typeof maskgitConfig>

/** What the tokenizer says to the record. */
export interface MaskGitIds {
  /** Rows of the embedding. */
  readonly embeddings: number
  readonly mask: number
}

/** The record that opens a native session; its names are the engine's. */
export function maskgitRecord(config: MaskGitConfig, ids: MaskGitIds, start: StreamStart): NativeRecord {
  return {
    family: 'maskgit',
    ...streamRecord(config, ids.embeddings, start),
    mask: ids.mask,
    lengthRange: config.lengthRange,
  }
}
