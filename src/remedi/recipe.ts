// The recipes of RemeDi: block adaptation (`base`), Remask-SFT (`sft`) and Remask-RL (`rl`), in this order.

import { z } from 'zod'
import { above, number, whole } from '../config/fields.js'
import { checkBest, commonRecipe, scheduleConfig, withLength } from '../config.js'
import { type Schedule, warmupThenCosine } from '../training/schedule.js'

const streams = (peak: number) => ({
  learningRate: scheduleConfig
    .default((): Schedule => warmupThenCosine(peak))
    .describe('AdamW step size of the token stream, a schedule'),
  policyLearningRate: scheduleConfig.optional().describe('of the policy stream; default: that of the token stream'),
  clip: number(0, Infinity).default(1).describe('largest gradient norm (section 3); 0: no clipping'),
})
const finish = z
  .enum(['always', 'padding'])
  .default('always')
  .describe('always: every answer ends with end-of-text; padding: one that fills its last block has none')

const diffusion = commonRecipe.extend({
  ...streams(1e-3),
  finish,
  monotone: z
    .enum(['enforce', 'bernoulli', 'reject'])
    .default('enforce')
    .describe('how #wrong < #masked is kept in a noisy block; bernoulli: not at all, as released (section 3)'),
})

const base = diffusion
  .extend({ task: z.literal('base').describe('plain masked diffusion by blocks: no wrong tokens, no confidence') })
  .superRefine(checkBest)
  .transform(withLength)

const sft = diffusion
  .extend({
    task: z.literal('sft').describe('Remask-SFT: masked and wrong tokens, and a confidence that tells them apart'),
    wrongRatio: number(0, 0.25)
      .default(0.1)
      .describe('r: of visible tokens, 4 r t (1 - t) are wrong at noise level t (section 3)'),
    maskFree: number(0, 1)
      .default(0)
      .describe('share of noisy blocks with wrong tokens and no mask, as a finished block is; the paper has none'),
    wrongTokens: z
      .enum(['batch', 'vocabulary', 'unigram', 'self'])
      .default('batch')
      .describe(
        "what wrong tokens are drawn from: the batch, all ids, the pool's frequencies, the model's own samples",
      ),
    confidenceWeight: number(0, Infinity).default(0.3).describe('lambda, weight of the confidence loss'),
    confidenceSmoothing: number(0, 1)
      .default(0)
      .describe('moves the labels of the confidence towards 1/2 (.05 by option)'),
  })
  .superRefine(checkBest)
  .transform(withLength)

/** Which reward: a built-in one by its name or with its numbers, or a function that a module exports. */
export const rewardSpec = z.union([
  z.enum(['exactMatch', 'numeric', 'editDistance']),
  z.strictObject({ regex: z.string().min(1, 'expected a pattern') }),
  z.strictObject({ length: whole(1, 1e9) }),
  z.strictObject({
    command: z.string().min(1, 'expected a command'),
    arguments: z.array(z.string()).readonly().default([]),
    timeoutMs: whole(1, 3.6e6).default(10_000),
  }),
  z.strictObject({
    module: z.string().min(1, 'expected a path').describe('a JavaScript module, from the folder of the process'),
    name: z.string().min(1, 'expected a name').default('reward').describe('the function it exports'),
  }),
])

export type RewardSpec = Readonly<z.output<typeof rewardSpec>>

const rl = commonRecipe
  .extend({
    ...streams(3e-6),
    batchRows: whole(1, 65536).default(4).describe('prompts per optimizer step'),
    task: z.literal('rl').describe('Remask-RL: rewards of whole denoising runs'),
    reward: rewardSpec.default('exactMatch').describe('what a completion is worth'),
    groupSize: whole(2, 1024).default(16).describe('G: runs for each prompt, compared with each other'),
    stepsPerBlock: whole(1, 1024).default(16).describe('denoising steps of a block'),
    maxTokens: whole(1, 1 << 20)
      .optional()
      .describe("most tokens of a completion, rounded up to blocks; default: what the model's rows leave"),
    temperature: above(0, 100).default(1.2).describe('tau: of the tokens of a run'),
    orderTemperature: above(0, 100).default(1.2).describe('tau_u: of the order of a run'),
    policy: z
      .enum(['plackett-luce', 'bernoulli', 'masked'])
      .default('plackett-luce')
      .describe('who decides what stays: a ranking of all positions, a coin each, or a ranking of the masks (LLaDOU)'),
    ratioClip: number(0, 1).default(0.2).describe('eps: the ratio of new to old policy counts up to 1 +- eps'),
    updates: whole(1, 64).default(1).describe('optimizer steps on one set of runs'),
    klWeight: number(0, Infinity).default(0).describe('beta: weight of the distance to the reference; 0: none'),
    reference: z.string().min(1, 'expected a folder').optional().describe('the model that klWeight keeps close to'),
    weightDecay: number(0, 10).default(0).describe('AdamW, decoupled weight decay'),
  })
  .superRefine(checkBest)
  .superRefine(({ klWeight, reference }, context) => {
    if (klWeight > 0 === (reference !== undefined)) return
    const message = 'expected together with klWeight above 0'
    context.addIssue({ code: 'custom', path: ['reference'], message })
  })
  .transform(withLength)

/** How a RemeDi model is trained. */
export const remediRecipe = z.discriminatedUnion('task', [base, sft, rl], 'expected a task: base, sft or rl')

export type DiffusionRecipe = Readonly<z.output<typeof base> | z.output<typeof sft>>
export type PolicyRecipe = Readonly<z.output<typeof rl>>
export type RemediRecipe = DiffusionRecipe | PolicyRecipe
export type RemediRecipeOptions = z.input<typeof remediRecipe>
