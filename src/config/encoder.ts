// encoderFields: what published encoders do otherwise than a LLaMA block, and what an encoder costs in memory.

import { z } from 'zod'
import { above, whole } from './fields.js'

/** Options of the encoder and its head that imported weights bring along; the defaults are LLaMA's. */
export const encoderFields = {
  norm: z.enum(['rms', 'layer']).default('rms').describe('root mean square (LLaMA) or layer normalisation (BERT)'),
  normPlace: z
    .enum(['before', 'after'])
    .default('before')
    .describe("norms of each half of a block's input (LLaMA), or of its sum (BERT); after: no norm behind the blocks"),
  embeddingNorm: z
    .boolean()
    .default(false)
    .describe('normalises the embeddings (BERT, ModernBERT); where norms stand before, in place of the first one'),
  biases: z
    .enum(['none', 'queries', 'all'])
    .default('none')
    .describe('queries: of queries, keys and values alone (Qwen2); all: of every projection and norm (BERT)'),
  activation: z
    .enum(['swiglu', 'geglu', 'gelu'])
    .default('swiglu')
    .describe('of the feed-forward: two that gate (LLaMA, ModernBERT), or the plain one (BERT)'),
  head: z
    .enum(['tied', 'untied', 'transform'])
    .default('tied')
    .describe("the embedding's matrix, one of its own, or projection, GELU, norm and bias around the former (BERT)"),
  attentionWindow: whole(0, 32768)
    .default(0)
    .describe('positions to each side that local blocks see (ModernBERT: 64); 0: no block is local'),
  globalEvery: whole(1, 256)
    .default(1)
    .describe('with a window: every n-th block, from the first, sees the whole row (ModernBERT: 3)'),
  localRopeBase: above(0, 1e9).default(10_000).describe('base of the rotary positions in local blocks (ModernBERT)'),
  activationCheckpointing: z
    .boolean()
    .default(false)
    .describe(
      'encoder blocks keep their input alone and run again in the backward pass: less memory, a third more time',
    ),
}
