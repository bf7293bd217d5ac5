// mergeRounds: a MERGE model with random weights, made to do what a trained one does: so many rounds, a fifth of the tokens
// deleted in each, as many put in.

import { MergeModel } from '../model.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { FamilyOptions, OpenFamily } from './family.js'
import { quantile } from './quantiles.js'

const deletedShare = 0.2

/** Opens it. Untrained decisions are no decisions: the threshold is chosen so that the share is right. */
export async function openMerge(
  { size, dtype, threads, rounds }: FamilyOptions,
  encodings: 'one' | 'two',
  tokenizer: Tokenizer,
): Promise<OpenFamily> {
  const { layers, width, heads, feedForward, length } = size
  const shape = { layers, width, heads, feedForward, ...size.merge }
  const model = await MergeModel.create({ ...shape, encodings, maxLength: length, dtype, threads, tokenizer })
  // The row always grows back to its length; no row stops early, since no confidence is above 1.
  const fixed = {
    mode: 'edit',
    maxRounds: rounds,
    countSource: 'budget',
    targetLength: length,
    confidenceThreshold: 1,
  } as const
  let keepThreshold: number | undefined
  return {
    memory: () => model.memory(),
    dispose: () => model.dispose(),
    async run(drafts) {
      const texts = drafts.map((tokens) => tokenizer.decode(tokens))
      keepThreshold ??= await thresholdOf(model, texts)
      // Not `edit`, which has the same cost: it does not say how many passes there were.
      const sum = { rounds: 0, passes: 0 }
      for await (const reports of model.refineBatch(texts, { ...fixed, keepThreshold })) {
        for (const { encoderPasses } of reports) {
          sum.rounds++
          sum.passes += encoderPasses
        }
      }
      const { length: rows } = drafts
      return { tokens: rows * length, rounds: sum.rounds / rows, passes: sum.passes / rows }
    },
  }
}

async function thresholdOf(model: MergeModel, texts: readonly string[]): Promise<number> {
  const keep: number[] = []
  for await (const reports of model.refineBatch(texts, { mode: 'edit', maxRounds: 1 })) {
    for (const report of reports) keep.push(...report.keep)
  }
  return quantile(keep, deletedShare)
}
