// Blocks: the options of a stack of LLaMA blocks, which every family has, and the rules between them.

import type { z } from 'zod'
import { above, whole } from './fields.js'

/** The shape of the blocks. */
export const blockFields = {
  layers: whole(1, 256).default(4).describe('blocks'),
  width: whole(2, 16384).default(128).describe('model dimension D'),
  heads: whole(1, 256).default(4).describe('attention heads H; divides width'),
  keyHeads: whole(1, 256)
    .optional()
    .describe('heads of keys and values, each shared by heads / keyHeads queries (LLaMA 2 GQA); default: heads'),
  feedForward: whole(1, 131072)
    .optional()
    .describe('inner width of SwiGLU; default 8/3 of width, up to a multiple of 8 (LLaMA)'),
  ropeBase: above(1, 1e9).default(10_000).describe('base of the rotary positions (LLaMA)'),
  normEpsilon: above(0, 1e-2).default(1e-5).describe('epsilon of the norms'),
}

interface Widths {
  readonly width: number
  readonly heads: number
  readonly keyHeads?: number | undefined
  readonly feedForward?: number | undefined
}

/** What the widths that were left out follow from. */
export function blockDefaults({ width, heads, keyHeads, feedForward }: Widths): {
  readonly keyHeads: number
  readonly feedForward: number
} {
  return { keyHeads: keyHeads ?? heads, feedForward: feedForward ?? 8 * Math.ceil(width / 3) }
}

/** Refuses heads that do not divide what they share; a head is even, so that pairs can turn. */
export function checkHeads({ width, heads, keyHeads = heads }: Widths, context: z.RefinementCtx): void {
  const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (width % (2 * heads) !== 0) {
    refuse('heads', `expected width / heads to be an even number, received ${width} / ${heads}`)
  }
  if (heads % keyHeads !== 0) refuse('keyHeads', `expected a divisor of heads ${heads}, received ${keyHeads}`)
}
