// GptTask: the next token, of whole texts, or of targets behind their sources.

import type { z } from 'zod'
import { checkBest, commonRecipe, updateRecord, withLength } from '../config.js'
import { packRows } from '../rows.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { valueAt } from '../training/schedule.js'
import type { Task, TokenExample } from '../training/task.js'

/** How an autoregressive model is trained. */
export const gptRecipe = commonRecipe.superRefine(checkBest).transform(withLength)

export type GptRecipe = Readonly<z.output<typeof gptRecipe>>
export type GptRecipeOptions = z.input<typeof gptRecipe>

/** What a step adds to its report. */
export interface GptFigures {
  /** Cross-entropy of the learned tokens, nats. */
  readonly terms: { readonly token: number }
  /** Tokens that were learned: targets and their ends. */
  readonly learned: number
  /** Share of them that were the most probable ones. */
  readonly tokenAccuracy: number
}

/** The row of a source: what its target stands behind. */
export function sourceRow({ special: { bos, sep } }: Tokenizer, source: Int32Array): Int32Array {
  return Int32Array.from([bos, ...source, sep].filter((id) => id >= 0))
}

/** What a text without a source stands behind. */
export function startRow({ special: { bos } }: Tokenizer): Int32Array {
  return bos < 0 ? new Int32Array(0) : Int32Array.of(bos)
}

/** The task of a recipe; a row is `[bos, target, end]` or `[bos, source, sep, target, end]`. */
export function gptTask(recipe: GptRecipe, tokenizer: Tokenizer, end: number): Task<GptFigures> {
  const before = (source: Int32Array | undefined): Int32Array =>
    source === undefined ? startRow(tokenizer) : sourceRow(tokenizer, source)
  const parts = ({ source, target }: TokenExample) => {
    const head = before(source)
    const whole = Int32Array.from([...head, ...target, end])
    // Without a token before it the first one cannot be learned.
    return { learned: whole.slice(Math.max(1, head.length)), whole }
  }
  return {
    lengthOf: ({ source, target }) => before(source).length + target.length + 1,
    rows(batch) {
      const rows = batch.map(parts)
      return { drafts: packRows(rows.map(({ learned }) => learned)), targets: packRows(rows.map(({ whole }) => whole)) }
    },
    decide: (at) => ({ ...updateRecord(recipe), step: at.step, learningRate: valueAt(recipe.learningRate, at) }),
    figures: (number) => ({
      terms: { token: number('token') },
      learned: number('learned'),
      tokenAccuracy: number('tokenAccuracy'),
    }),
  }
}
