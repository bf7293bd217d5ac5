// remediTask: from a recipe to what a RemeDi model learns.

import type { NativeSession } from '../native.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Task } from '../training/task.js'
import type { RemediConfig } from './config.js'
import { type DiffusionFigures, diffusionTask } from './diffusionTask.js'
import { type PolicyFigures, policyTask } from './policyTask.js'
import type { RemediRecipe } from './recipe.js'

/** What a step adds to its report, by the recipe's task. */
export type RemediFigures = DiffusionFigures | PolicyFigures

/** What the task must know of the model. */
export interface RemediTaskContext {
  readonly config: RemediConfig
  readonly tokenizer: Tokenizer
  /** Opens a saved model, for the distance to a reference. */
  readonly open: (folder: string) => Promise<{ session: NativeSession; dispose: () => Promise<void> }>
}

/** The task of a recipe. */
export function remediTask(recipe: RemediRecipe, { config, tokenizer, open }: RemediTaskContext): Task<RemediFigures> {
  const { blockLength, maxLength } = config
  const { pad, bos, eos, sep } = tokenizer.special
  const mask = config.mask ?? tokenizer.special.mask
  const endOfText = config.endOfText ?? [eos]
  const special = new Set([pad, bos, eos, sep, mask, ...endOfText])
  if (recipe.task !== 'rl') {
    const shape = { blockLength, mask, endOfText: endOfText[0] ?? eos, special, vocabulary: tokenizer.vocabularySize }
    return diffusionTask(recipe, shape)
  }
  return policyTask(recipe, {
    blockLength,
    mask,
    endOfText: new Set(endOfText),
    forbidden: Int32Array.from([...special].filter((id) => id !== mask && !endOfText.includes(id))),
    vocabulary: tokenizer.vocabularySize,
    maxLength,
    tokenizer,
    openReference: open,
  })
}
