// maskedAccuracy: what a pretrained encoder knows: how often it names the tokens that stand behind masks.

import { type Recipe, stepRecord } from '../config.js'
import { MergeError } from '../errors.js'
import { type MergeModel, sessionOf } from '../model.js'
import { packRows } from '../rows.js'
import type { Example } from '../text/example.js'

/** What {@link maskedAccuracy} finds. */
export interface MaskedAccuracy {
  /** Share of masks whose most probable token is the right one. */
  readonly maskedAccuracy: number
  /** Mean cross-entropy at the masks, in nats. */
  readonly maskedLoss: number
}

/** Masks the finished texts as the recipe's pretraining does, the same tokens every time, and lets the model name them. */
export async function maskedAccuracy(
  model: MergeModel,
  examples: readonly Example[],
  recipe: Recipe,
): Promise<MaskedAccuracy> {
  const session = sessionOf(model)
  const rows = examples
    .map(({ target }) => model.tokenizer.encode(target))
    .filter(({ length }) => length > 0 && length <= model.config.maxLength)
    .sort((a, b) => a.length - b.length)
  const choice = { step: 0, rounds: 1, learningRate: 0, gateNoise: 0, temperature: 1 }
  const record = stepRecord({ ...recipe, task: 'pretrain', accumulation: 1 }, choice, model.config)
  let masks = 0
  let right = 0
  let loss = 0
  for (let start = 0; start < rows.length; start += recipe.batchRows) {
    const packed = packRows(rows.slice(start, start + recipe.batchRows))
    const report = await session.evaluate({ ...record, step: start }, packed, packed)
    const [count, share, value] = [report.masks, report.fillAccuracy, report.recon]
    if (count === undefined || share === undefined || value === undefined)
      throw new MergeError('ERR_INTERNAL', 'evaluate: expected masks, fillAccuracy and recon, received less')
    masks += count
    right += share * count
    loss += value * count
  }
  if (masks === 0) throw new MergeError('ERR_INPUT', 'maskedAccuracy: expected examples with tokens, received none')
  return { maskedAccuracy: right / masks, maskedLoss: loss / masks }
}
