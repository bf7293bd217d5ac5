// How a RemeDi model generates: the options with their defaults, and the record of a denoising step.

import { z } from 'zod'
import { above, number, seed, whole } from '../config/fields.js'
import type { NativeRecord } from '../native.js'

const remdm = z
  .strictObject({
    schedule: z
      .enum(['cap', 'rescale', 'confidence', 'loop'])
      .default('cap')
      .describe('how likely a visible token is remasked (arXiv 2503.00307, section 4)'),
    eta: number(0, 1).default(0.02).describe('cap and loop: its largest value; rescale: share of the largest possible'),
    loopFrom: number(0, 1).default(0.55).describe('loop: time at which it begins; time runs from 1 to 0'),
    loopTo: number(0, 1).default(0.05).describe('loop: time at which it ends'),
    loopAlpha: above(0, 1).default(0.9).describe('loop: share of visible tokens meanwhile'),
  })
  .prefault({})
  .refine(({ loopFrom, loopTo }) => loopTo < loopFrom, 'expected loopTo below loopFrom')

const fields = z.strictObject({
  steps: whole(1, 100_000).default(32).describe('denoising steps of a block, N; threshold: at most so many'),
  blockLength: whole(1, 4096).optional().describe("tokens of a block; default: the model's"),
  maxNewTokens: whole(1, 1 << 20)
    .optional()
    .describe('most tokens of an answer; default: what the model has room for, at most 1024'),
  sampler: z
    .enum(['fixed', 'threshold', 'llada', 'remdm'])
    .default('fixed')
    .describe(
      'fixed: the K_n surest positions of all stay in step n, the others are remasked (RemeDi); threshold: by confidence; ' +
        'llada: as fixed, but what is visible stays; remdm: remasked by chance',
    ),
  confidenceSource: z
    .enum(['ups', 'probability', 'logit', 'margin', 'entropy', 'random'])
    .optional()
    .describe('what ranks positions; ups: the policy stream. Default: ups, probability for llada'),
  fillThreshold: number(0, 1).default(0.9).describe('threshold: a mask at least as sure is filled'),
  remaskThreshold: number(0, 1)
    .default(0.5)
    .describe('threshold and extra correction steps: a visible token less sure is remasked'),
  leastFilled: whole(1, 4096).default(1).describe('threshold: masks filled in each step at least'),
  extraCorrectionSteps: whole(0, 1000)
    .default(0)
    .describe('steps behind the last in which doubtful tokens are remasked and filled again'),
  maxRemasksPerPosition: whole(0, 1_000_000)
    .optional()
    .describe('a position that was remasked so often stays visible; default: no limit'),
  detectCycles: z
    .boolean()
    .default(true)
    .describe('a block that comes back to an earlier state keeps what is visible from there on'),
  remdm: remdm.describe('the ReMDM baseline'),
  temperature: number(0, 100).default(0).describe('of the tokens; 0: the most probable one'),
  topK: whole(0, 1e6).default(0).describe('sample among the k most probable tokens; 0: all'),
  topP: above(0, 1).default(1).describe('sample among the most probable tokens that hold this mass'),
  orderTemperature: number(0, 100)
    .default(0)
    .describe('of the order of positions, a Plackett-Luce draw; 0: the surest first'),
  stopAtEndOfText: z.boolean().default(true).describe('an answer ends at its first end of text'),
  seed,
  batchRows: whole(1, 65536).default(32).describe('most rows denoised together'),
  signal: z
    .instanceof(AbortSignal, { error: 'expected an AbortSignal' })
    .optional()
    .describe('ends the call after the running step'),
})

/** How answers are generated. */
export const generateConfig = fields
  .superRefine((config, context) => {
    const readsThreshold = config.sampler === 'threshold' || config.extraCorrectionSteps > 0
    if (readsThreshold && config.confidenceSource === 'logit') {
      context.addIssue({
        code: 'custom',
        path: ['confidenceSource'],
        message: 'expected a source within 0..1 for thresholds, received "logit"',
      })
    }
  })
  .transform((config) => ({
    ...config,
    confidenceSource:
      config.confidenceSource ?? (config.sampler === 'llada' ? ('probability' as const) : ('ups' as const)),
  }))

export type GenerateConfig = Readonly<z.output<typeof generateConfig>>
export type GenerateOptions = z.input<typeof generateConfig>

/** The record of a denoising step; its names are the engine's. */
export function denoiseRecord(
  config: GenerateConfig,
  choice: { readonly policy: 'rank' | 'threshold'; readonly vocabulary: number },
): NativeRecord {
  const { confidenceSource, temperature, topK, topP, orderTemperature } = config
  return { ...choice, confidenceSource, temperature, topK, topP, orderTemperature, seed: config.seed }
}
