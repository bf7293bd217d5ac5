// Lora: low-rank updates of a frozen model's projections (Hu et al. 2021, arXiv 2106.09685).

import { z } from 'zod'
import type { NativeRecord } from '../native.js'
import { above, whole } from './fields.js'

/** The projections of a block, whether or not they share a matrix. */
export const loraTargets = ['q', 'k', 'v', 'output', 'gate', 'up', 'down'] as const

/** Low-rank updates: each target's matrix W becomes W + alpha / rank B A, of which A and B alone learn. */
export const loraConfig = z.strictObject({
  rank: whole(1, 65536).default(8).describe('rank r of the updates'),
  alpha: above(0, Infinity).default(16).describe('the updates are scaled by alpha / rank'),
  targets: z
    .array(z.enum(loraTargets))
    .min(1, 'expected at least one')
    .readonly()
    .default([...loraTargets])
    .describe('projections that get updates: q, k, v, output, gate, up, down; all, as QLoRA finds best (2305.14314)'),
  policy: z
    .enum(['lora', 'whole'])
    .default('lora')
    .describe('how the policy stream learns: by updates of its blocks, or all of it (one that was just drawn)'),
})

export type LoraConfig = Readonly<z.output<typeof loraConfig>>
export type LoraOptions = z.input<typeof loraConfig>

/** The fields of a model's record; rank 0 is none. */
export function loraRecord(lora: LoraConfig | undefined): NativeRecord {
  return {
    loraRank: lora?.rank ?? 0,
    loraAlpha: lora?.alpha ?? 0,
    loraTargets: lora?.targets.join(',') ?? '',
    loraPolicy: lora?.policy ?? 'lora',
  }
}
