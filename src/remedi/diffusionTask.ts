// DiffusionTask: what a RemeDi model learns from in the stages `base` and `sft`: prompts and answers, whose noisy copies
// are made here, anew for each step.

import { updateRecord } from '../config.js'
import { randomFrom } from '../random.js'
import { packRows } from '../rows.js'
import { valueAt } from '../training/schedule.js'
import type { ReadNumber, Task, TokenExample } from '../training/task.js'
import { drawOther, noisyCopy, padAnswer } from './noise.js'
import type { DiffusionRecipe } from './recipe.js'

/** What a step of masked diffusion adds to its report. */
export interface DiffusionFigures {
  /** Each term of the loss, unweighted: the masked tokens' and the confidence's. */
  readonly terms: { readonly token: number; readonly confidence: number }
  /** Masks of the noisy copies. */
  readonly masks: number
  /** Wrong tokens of the noisy copies. */
  readonly wrongs: number
  /** Share of masks whose most probable token is the right one. */
  readonly fillAccuracy: number
  /** Mean confidence of wrong tokens; 0 where there are none. */
  readonly wrongConfidence: number
  /** Mean confidence of clean visible tokens; 0 where there are none. */
  readonly cleanConfidence: number
}

/** What the task must know of the model. */
export interface AnswerShape {
  readonly blockLength: number
  readonly mask: number
  /** What answers are padded with. */
  readonly endOfText: number
  /** Ids that no wrong token has. */
  readonly special: ReadonlySet<number>
  readonly vocabulary: number
}

/** The task of a recipe. */
export function diffusionTask(recipe: DiffusionRecipe, shape: AnswerShape): Task<DiffusionFigures> {
  const { blockLength, mask, endOfText: eos } = shape
  const wrong = wrongTokens(recipe, shape)
  const padding = { blockLength, eos, atLeastOne: recipe.finish === 'always' }
  return {
    lengthOf: ({ source, target }) => (source?.length ?? 0) + padAnswer(target, padding).length,
    rows(batch, pool, step) {
      const tokens = wrong.source(batch, pool)
      const copies = batch.map(({ source = new Int32Array(0), target }, row) => {
        const answer = padAnswer(target, padding)
        const wrongToken = (original: number, random: ReturnType<typeof randomFrom>) =>
          drawOther(tokens, original, random)
        const noise = {
          ...{ blockLength, mask, wrongToken },
          ...{ monotone: recipe.monotone, wrongRatio: wrong.ratio, maskFree: wrong.maskFree },
        }
        const whole = new Int32Array(source.length + answer.length)
        whole.set(source)
        whole.set(answer, source.length)
        return { whole, noisy: noisyCopy(answer, noise, randomFrom(recipe.seed, step, row, 'noise')) }
      })
      return { drafts: packRows(copies.map(({ noisy }) => noisy)), targets: packRows(copies.map(({ whole }) => whole)) }
    },
    decide: (at) => {
      const learningRate = valueAt(recipe.learningRate, at)
      const isSft = recipe.task === 'sft'
      return {
        ...updateRecord(recipe),
        step: at.step,
        learningRate,
        secondLearningRate: valueAt(recipe.policyLearningRate ?? recipe.learningRate, at),
        blockLength,
        weightConfidence: isSft ? recipe.confidenceWeight : 0,
        confidenceSmoothing: isSft ? recipe.confidenceSmoothing : 0,
        ownMistakes: isSft && recipe.wrongTokens === 'self',
      }
    },
    figures: diffusionFigures,
  }
}

/** The figures among the engine's numbers. */
export function diffusionFigures(number: ReadNumber): DiffusionFigures {
  return {
    terms: { token: number('token'), confidence: number('confidence') },
    masks: number('masks'),
    wrongs: number('wrongs'),
    fillAccuracy: number('fillAccuracy'),
    wrongConfidence: number('wrongConfidence'),
    cleanConfidence: number('cleanConfidence'),
  }
}

interface WrongTokens {
  readonly ratio: number
  readonly maskFree: number
  /** The tokens that a wrong one is drawn from. */
  source(batch: readonly TokenExample[], pool: readonly TokenExample[]): Int32Array
}

// The model's own mistakes are the engine's to make: it replaces those that are drawn here.
function wrongTokens(recipe: DiffusionRecipe, { special, vocabulary }: AnswerShape): WrongTokens {
  if (recipe.task === 'base') return { ratio: 0, maskFree: 0, source: () => new Int32Array(0) }
  const ordinary = (rows: readonly TokenExample[]): Int32Array =>
    Int32Array.from(rows.flatMap(({ target }) => [...target.filter((token) => !special.has(token))]))
  const all = Int32Array.from({ length: vocabulary }, (_, id) => id).filter((id) => !special.has(id))
  const pools = new WeakMap<readonly TokenExample[], Int32Array>()
  return {
    ratio: recipe.wrongRatio,
    maskFree: recipe.maskFree,
    source(batch, pool) {
      switch (recipe.wrongTokens) {
        case 'batch':
        case 'self':
          return ordinary(batch)
        case 'vocabulary':
          return all
        case 'unigram': {
          const known = pools.get(pool) ?? ordinary(pool)
          pools.set(pool, known)
          return known
        }
        default:
          return recipe.wrongTokens satisfies never
      }
    },
  }
}
