// MergeTask: what a MERGE model learns from: drafts and targets, unrolled rounds, five losses.

import { type ModelConfig, type Recipe, stepRecord } from '../config.js'
import { MergeError } from '../errors.js'
import { type Random, randomFrom } from '../random.js'
import { packRows } from '../rows.js'
import { valueAt } from '../training/schedule.js'
import type { ReadNumber, Task, TokenExample } from '../training/task.js'
import { conditionRows } from './condition.js'
import { drawKind, makeDraft } from './drafts.js'
import type { LossTerms } from './losses.js'

/** What a step of MERGE adds to its report. */
export interface MergeFigures {
  /** Each term of the loss, unweighted. */
  readonly terms: LossTerms
  /** Share of rows whose gate was open. */
  readonly gateRate: number
  /** Mean keep probability. */
  readonly keepRate: number
  /** Rounds that were unrolled. */
  readonly rounds: number
  /** Masks that were filled. */
  readonly masks: number
  /** Share of masks filled with the oracle's token. */
  readonly fillAccuracy: number
  /** Share of tokens whose fate is the oracle's. */
  readonly keepAccuracy: number
  /** Share of gaps with the oracle's count. */
  readonly countAccuracy: number
}

/** What the task must know of a model. */
export interface MergeTaskModel
  extends Pick<ModelConfig, 'layers' | 'maxLength' | 'profile' | 'encodings' | 'condition'> {
  /** Whether its encoder started from trained weights. */
  readonly pretrained: boolean
  /** Id of the separator. */
  readonly sep: number
}

/** The task of a recipe; no draft is longer than the model's `maxLength` tokens. */
export function mergeTask(recipe: Recipe, model: MergeTaskModel): Task<MergeFigures> {
  const { maxLength } = model
  const isPretraining = recipe.task === 'pretrain'
  if (recipe.freezeLayers > model.layers) {
    throw new MergeError(
      'ERR_CONFIG',
      `recipe.freezeLayers: expected at most the model's ${model.layers} layers, received ${recipe.freezeLayers}`,
    )
  }
  return {
    readsConditions: true,
    lengthOf: ({ target, source, condition }) =>
      isPretraining ? target.length : Math.max(target.length, source?.length ?? 0, condition?.length ?? 0),
    rows(batch, pool, step) {
      if (isPretraining) {
        // The engine masks the targets itself.
        const targets = packRows(batch.map(({ target }) => target))
        return { drafts: targets, targets }
      }
      const drafts = drawnDrafts(recipe, maxLength, { batch, pool, step })
      const conditions = conditionRows(
        batch.map(({ condition }, row) => ({ given: condition, draft: drafts[row] ?? new Int32Array() })),
        model,
      )
      const rows = { drafts: packRows(drafts), targets: packRows(batch.map(({ target }) => target)) }
      return conditions === undefined ? rows : { ...rows, conditions }
    },
    decide: (at) => {
      const learningRate = valueAt(recipe.learningRate, at)
      const choice = {
        step: at.step,
        rounds: 1 + randomFrom(recipe.seed, at.step, 0, 'rounds').integer(recipe.rounds),
        learningRate,
        gateNoise: at.progress < recipe.gateNoiseShare ? recipe.gateNoise : 0,
        temperature: valueAt(recipe.temperature, at),
      }
      return { ...stepRecord(recipe, choice, model), learningRate }
    },
    figures: mergeFigures,
    warnings: recipe.freezeLayers > 0 && !model.pretrained ? [frozenNoise] : [],
  }
}

/** What the rows of a step are made of. */
export interface StepExamples {
  readonly batch: readonly TokenExample[]
  /** All examples that were read ahead. */
  readonly pool: readonly TokenExample[]
  readonly step: number
}

/** Each example's draft, of a kind drawn by its share. */
export function drawnDrafts(
  recipe: Pick<Recipe, 'seed' | 'drafts'>,
  maxLength: number,
  { batch, pool, step }: StepExamples,
): Int32Array[] {
  return batch.map((example, row) => {
    const random = randomFrom(recipe.seed, step, row, 'draft')
    const kind = drawKind(recipe.drafts, example, random)
    return makeDraft(kind, example, { maxLength, randomToken: (draw) => tokenOf(pool, example, draw) }, random)
  })
}

const frozenNoise =
  'recipe.freezeLayers: the encoder was not pretrained, so its frozen layers are random ones; pretrain it ' +
  '(recipe.task: pretrain) or start from published weights'

/** The figures among the engine's numbers. */
export function mergeFigures(number: ReadNumber): MergeFigures {
  return {
    terms: {
      recon: number('recon'),
      compression: number('compression'),
      pointer: number('pointer'),
      gate: number('gate'),
      length: number('length'),
    },
    gateRate: number('gateRate'),
    keepRate: number('keepRate'),
    rounds: number('rounds'),
    masks: number('masks'),
    fillAccuracy: number('fillAccuracy'),
    keepAccuracy: number('keepAccuracy'),
    countAccuracy: number('countAccuracy'),
  }
}

// A token of another row: noise looks like the data, and never like a special token.
function tokenOf(pool: readonly TokenExample[], own: TokenExample, random: Random): number | undefined {
  const other = random.pick(pool).target
  const row = other.length > 0 ? other : own.target
  return row[random.integer(Math.max(1, row.length))]
}
