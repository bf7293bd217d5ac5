// LevtTask: what a Levenshtein Transformer learns: the expert's deletions, placeholders and tokens.

import { z } from 'zod'
import { checkBest, commonRecipe, number, recipeFields, updateRecord, withLength } from '../config.js'
import { drawnDrafts } from '../merge/mergeTask.js'
import type { NativeRecord } from '../native.js'
import { packRows } from '../rows.js'
import { valueAt } from '../training/schedule.js'
import type { Task } from '../training/task.js'

const { drafts, labelSmoothing, countSmoothing } = recipeFields.shape

const weights = z
  .strictObject({
    deletion: number(0, Infinity).default(1).describe('weight of the cross-entropy of pi_del, over tokens'),
    placeholder: number(0, Infinity).default(1).describe('weight of the cross-entropy of pi_plh, over gaps'),
    token: number(0, Infinity).default(1).describe('weight of the cross-entropy of pi_tok, over placeholders'),
  })
  .prefault({})

/** How a Levenshtein Transformer is trained (section 3.2): drafts are y^0, the states of both policies mix in its own. */
export const levtRecipe = commonRecipe
  .extend({
    losses: weights.describe('weights of the three terms'),
    drafts: drafts.describe('shares of the drafts that are y^0, as for MERGE (H28)'),
    labelSmoothing: labelSmoothing.unwrap().default(0).describe('smoothing of the tokens (fairseq: .1)'),
    countSmoothing: countSmoothing.unwrap().default(0.01).describe('smoothing of the placeholders (fairseq: .01)'),
    ownFill: number(0, 1)
      .default(0.5)
      .describe(
        'share of rows whose deletion state is what the model would insert, drawn from pi_tok; else y^0 (alpha)',
      ),
    subsequence: number(0, 1)
      .default(0.5)
      .describe(
        'share of rows whose insertion state is the target with tokens dropped; else y^0 after deletion (beta)',
      ),
    ownDeletion: number(0, 1)
      .default(0)
      .describe("share of the latter that follow the model's own deletions, not the expert's (the paper: 0)"),
  })
  .superRefine(checkBest)
  .transform(withLength)

export type LevtRecipe = Readonly<z.output<typeof levtRecipe>>
export type LevtRecipeOptions = z.input<typeof levtRecipe>

/** What a step adds to its report. */
export interface LevtFigures {
  /** Each cross-entropy, unweighted, nats. */
  readonly terms: { readonly deletion: number; readonly placeholder: number; readonly token: number }
  /** Placeholders that were filled. */
  readonly masks: number
  /** Share of them whose most probable token is the expert's. */
  readonly fillAccuracy: number
  /** Share of tokens whose fate is the expert's. */
  readonly keepAccuracy: number
  /** Share of gaps with the expert's number of placeholders. */
  readonly countAccuracy: number
}

/** The record of one training step; its names are the engine's. */
export function levtStepRecord<C extends { readonly step: number; readonly learningRate: number }>(
  recipe: LevtRecipe,
  choice: C,
): NativeRecord & C {
  const { losses, labelSmoothing, countSmoothing, ownFill, ownDeletion, subsequence } = recipe
  return {
    ...updateRecord(recipe),
    weightDeletion: losses.deletion,
    weightPlaceholder: losses.placeholder,
    weightToken: losses.token,
    labelSmoothing,
    countSmoothing,
    ownFill,
    ownDeletion,
    subsequence,
    ...choice,
  }
}

/** The task of a recipe; no draft is longer than `maxLength` tokens. */
export function levtTask(recipe: LevtRecipe, maxLength: number): Task<LevtFigures> {
  return {
    lengthOf: ({ target, source }) => Math.max(target.length, source?.length ?? 0),
    rows(batch, pool, step) {
      const drafts = drawnDrafts(recipe, maxLength, { batch, pool, step })
      return { drafts: packRows(drafts), targets: packRows(batch.map(({ target }) => target)) }
    },
    decide: (at) => levtStepRecord(recipe, { step: at.step, learningRate: valueAt(recipe.learningRate, at) }),
    figures: (number) => ({
      terms: { deletion: number('deletion'), placeholder: number('placeholder'), token: number('token') },
      masks: number('masks'),
      fillAccuracy: number('fillAccuracy'),
      keepAccuracy: number('keepAccuracy'),
      countAccuracy: number('countAccuracy'),
    }),
  }
}
