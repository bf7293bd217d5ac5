// MaskGitTask: what a mask-predict model learns from: targets behind their sources, some tokens masked anew in each step.

import { z } from 'zod'
import { number } from '../config/fields.js'
import { checkBest, commonRecipe, updateRecord, withLength } from '../config.js'
import { randomFrom } from '../random.js'
import { packRows } from '../rows.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { valueAt } from '../training/schedule.js'
import type { Task } from '../training/task.js'
import { sourceRow, startRow } from './gptTask.js'
import { trainingMasks } from './maskSchedule.js'

/** How a mask-predict model is trained. */
export const maskgitRecipe = commonRecipe
  .extend({
    schedule: z
      .enum(['linear', 'cosine'])
      .default('linear')
      .describe('masks of a target; linear: every number alike (mask-predict), cosine: rather many (MaskGIT)'),
    lengthWeight: number(0, Infinity).default(0.1).describe('weight of the length loss'),
    labelSmoothing: number(0, 1).default(0).describe('share of a label that all tokens have (both papers: 0.1)'),
  })
  .superRefine(checkBest)
  .transform(withLength)

export type MaskGitRecipe = Readonly<z.output<typeof maskgitRecipe>>
export type MaskGitRecipeOptions = z.input<typeof maskgitRecipe>

/** What a step adds to its report. */
export interface MaskGitFigures {
  /** Cross-entropy of masked tokens, and of lengths, nats. */
  readonly terms: { readonly token: number; readonly length: number }
  /** Masks of the step. */
  readonly masks: number
  /** Share of them whose most probable token is the right one. */
  readonly fillAccuracy: number
  /** Share of sources whose most probable length is the right one. */
  readonly lengthAccuracy: number
}

/** The task of a recipe: rows are `[bos, source, sep]` or `[bos]`, and the target behind them. */
export function maskgitTask(recipe: MaskGitRecipe, tokenizer: Tokenizer): Task<MaskGitFigures> {
  const { mask } = tokenizer.special
  return {
    lengthOf: ({ source, target }) => Math.max(source?.length ?? 0, target.length),
    rows(batch, _pool, step) {
      const drafts = batch.map(({ target }, row) => {
        const random = randomFrom(recipe.seed, step, row, 'masks')
        const masks = trainingMasks(recipe.schedule, target.length, random.next())
        const places = random.shuffle([...target.keys()]).slice(0, masks)
        const draft = target.slice()
        for (const place of places) draft[place] = mask
        return draft
      })
      return {
        drafts: packRows(drafts),
        targets: packRows(batch.map(({ target }) => target)),
        conditions: packRows(batch.map(({ source }) => conditionRow(tokenizer, source))),
      }
    },
    decide: (at) => ({
      ...updateRecord(recipe),
      step: at.step,
      learningRate: valueAt(recipe.learningRate, at),
      weightLength: recipe.lengthWeight,
      labelSmoothing: recipe.labelSmoothing,
    }),
    figures: (number) => ({
      terms: { token: number('token'), length: number('length') },
      masks: number('masks'),
      fillAccuracy: number('fillAccuracy'),
      lengthAccuracy: number('lengthAccuracy'),
    }),
  }
}

/** What a target stands behind. The engine takes a row of one token for no source. */
export function conditionRow(tokenizer: Tokenizer, source: Int32Array | undefined): Int32Array {
  return source === undefined ? startRow(tokenizer) : sourceRow(tokenizer, source)
}
