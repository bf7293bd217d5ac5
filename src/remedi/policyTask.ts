// PolicyTask: Remask-RL: runs of the model, what they are worth, and a step that makes the better ones likelier.

import { updateRecord } from '../config.js'
import { MergeError } from '../errors.js'
import type { NativeArray, NativeRecord, NativeSession, NativeTrajectory } from '../native.js'
import { packRows, rowRange } from '../rows.js'
import type { Example } from '../text/example.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { valueAt } from '../training/schedule.js'
import type { ReadNumber, Task, TaskBatch } from '../training/task.js'
import { advantages } from './policy.js'
import type { PolicyRecipe } from './recipe.js'
import { type Reward, rewardFrom } from './rewards.js'
import { type Rollout, type RolloutContext, rollouts, trajectoryOf } from './rollout.js'

/** What a step of Remask-RL adds to its report. */
export interface PolicyFigures {
  /** Each term of the loss, unweighted: tokens, sets, distance to the reference. */
  readonly terms: { readonly token: number; readonly set: number; readonly kl: number }
  /** Mean reward of the runs. */
  readonly reward: number
  /** Share of prompts whose runs were all worth the same: they say nothing. */
  readonly skipped: number
  /** Share of ratios beyond the clip, in the last update. */
  readonly clipped: number
  /** Visible tokens that were masked again, for each block. */
  readonly remasksPerBlock: number
}

/** What the task must know of the model. */
export interface PolicyContext extends Omit<RolloutContext, 'session' | 'recipe'> {
  readonly tokenizer: Tokenizer
  /** Opens the model that `klWeight` keeps close to; the task closes it. */
  readonly openReference: (folder: string) => Promise<{ session: NativeSession; dispose: () => Promise<void> }>
}

/** The task of a recipe. */
export function policyTask(recipe: PolicyRecipe, context: PolicyContext): Task<PolicyFigures> {
  let reward: Promise<Reward<Example>> | undefined
  let reference: ReturnType<PolicyContext['openReference']> | undefined
  return {
    lengthOf: ({ source, target }) => Math.max((source?.length ?? 0) + context.blockLength, target.length),
    rows: (batch) => ({
      drafts: packRows(batch.map(({ source }) => source ?? new Int32Array(0))),
      targets: packRows(batch.map(({ target }) => target)),
    }),
    decide: (at) => {
      const learningRate = valueAt(recipe.learningRate, at)
      return {
        ...updateRecord(recipe),
        step: at.step,
        learningRate,
        secondLearningRate: valueAt(recipe.policyLearningRate ?? recipe.learningRate, at),
        blockLength: context.blockLength,
        temperature: recipe.temperature,
        orderTemperature: recipe.orderTemperature,
        policy: recipe.policy,
        ratioClip: recipe.ratioClip,
        klWeight: recipe.klWeight,
      }
    },
    async step(session, record, batch) {
      // 1) runs
      const prompts = batch.examples.flatMap((_, row) =>
        Array<Int32Array>(recipe.groupSize).fill(batch.drafts.tokens.slice(...rowRange(batch.drafts, row))),
      )
      const runs = await rollouts(prompts, Number(record.step), { ...context, session, recipe })

      // 2) what they are worth
      reward ??= rewardFrom(recipe.reward)
      const rewards = await valuesOf(runs, batch, await reward, { recipe, context })
      const found = advantages(rewards, recipe.groupSize)
      const facts = factsOf(runs, rewards, found, context.blockLength)
      const told = runs.flatMap((run, index) => {
        const advantage = found[index]
        return advantage === undefined ? [] : [{ run, advantage }]
      })
      if (told.length === 0) return { ...nothingLearned, ...facts }

      // 3) the policy's step, or steps
      const run = trajectoryOf(
        told.map((one) => one.run),
        told.map(({ advantage }) => advantage),
        { ...context, recipe },
      )
      if (recipe.reference !== undefined) reference ??= context.openReference(recipe.reference)
      const columns = {
        ...run.columns,
        ...(recipe.updates > 1 ? await logsOf(session, record, run, 'old') : {}),
        ...(reference === undefined ? {} : await logsOf((await reference).session, record, run, 'reference')),
      }
      let report: Readonly<Record<string, number>> = {}
      for (let update = 0; update < recipe.updates; update++) {
        report = await session.policyStep(record, { ...run, columns })
      }
      return { ...report, ...facts }
    },
    figures: policyFigures,
    async end() {
      const opened = reference
      reference = undefined
      await (await opened)?.dispose()
    },
  }
}

/** The figures among the step's numbers. */
export function policyFigures(number: ReadNumber): PolicyFigures {
  return {
    terms: { token: number('token'), set: number('set'), kl: number('kl') },
    reward: number('reward'),
    skipped: number('skipped'),
    clipped: number('clipped'),
    remasksPerBlock: number('remasksPerBlock'),
  }
}

/** The text of an answer, up to its first end-of-text. */
export function completionOf(answer: Int32Array, endOfText: ReadonlySet<number>, tokenizer: Tokenizer): string {
  const end = answer.findIndex((token) => endOfText.has(token))
  return tokenizer.decode(end < 0 ? answer : answer.subarray(0, end))
}

// The report of a step in which all runs of every prompt were worth the same.
const nothingLearned = {
  total: 0,
  token: 0,
  set: 0,
  kl: 0,
  clipped: 0,
  tokens: 0,
  gradientNorm: 0,
  nativeSeconds: 0,
  hostSeconds: 0,
}

interface Judging {
  readonly recipe: PolicyRecipe
  readonly context: PolicyContext
}

async function valuesOf(
  runs: readonly Rollout[],
  batch: TaskBatch,
  reward: Reward<Example>,
  { recipe, context }: Judging,
): Promise<number[]> {
  return Promise.all(
    runs.map(async ({ prompt, answer }, index) => {
      const example = batch.examples[Math.floor(index / recipe.groupSize)] ?? { target: '' }
      const text = example.source ?? context.tokenizer.decode(prompt)
      const value = await reward(text, completionOf(answer, context.endOfText, context.tokenizer), example)
      if (Number.isFinite(value)) return value
      throw new MergeError(
        'ERR_INPUT',
        `reward: expected a finite number, received ${value} for ${JSON.stringify(text)}`,
      )
    }),
  )
}

function factsOf(
  runs: readonly Rollout[],
  rewards: readonly number[],
  found: readonly (number | undefined)[],
  blockLength: number,
) {
  const blocks = runs.reduce((sum, { answer }) => sum + answer.length / blockLength, 0)
  return {
    reward: rewards.reduce((sum, value) => sum + value, 0) / rewards.length,
    skipped: found.filter((advantage) => advantage === undefined).length / found.length,
    remasksPerBlock: runs.reduce((sum, { remasks }) => sum + remasks, 0) / blocks,
  }
}

async function logsOf(
  session: NativeSession,
  record: NativeRecord,
  run: NativeTrajectory,
  whose: 'old' | 'reference',
): Promise<Record<string, Float64Array>> {
  const { token, set } = await session.policyLogs(record, run)
  const column = (part: NativeArray | undefined): Float64Array => Float64Array.from(part?.values ?? [])
  return { [`${whose}Token`]: column(token), [`${whose}Set`]: column(set) }
}
