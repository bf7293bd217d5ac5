// Evaluation: exact matches on held-out sentences, beside doing nothing and beside rules; damage to clean ones.

import { cleanUpNoise, type Example, evaluateEdits, type MergeModel, randomFrom, strip } from 'merge-lm'
import { capitalAndFullStop, type Repair, trainRules } from '#bench/cleanUpRules.js'

/** What is measured, and on what. */
export interface EvaluationInput {
  readonly train: readonly Example[]
  readonly heldOut: readonly Example[]
  readonly seed: number
  readonly signal: AbortSignal
}

/** Seed of the noise; the same for every model, so that figures can be compared. */
const noiseSeed = 20_160_112

/** Shares from 0 to 1. Mode `auto`: the gate decides whether a sentence needs an edit at all. */
export async function evaluate(model: MergeModel, { train, heldOut, signal }: EvaluationInput) {
  const started = performance.now()
  const noise = { corruption: cleanUpNoise(), corruptionSeed: noiseSeed }
  const noised = await evaluateEdits(model, heldOut, { ...noise, signal })
  const bare = stripped(heldOut)
  const cleaned = await model.edit(
    bare.map(({ source }) => source),
    { signal },
  )
  const rules = trainRules(train.map(({ target }) => target))
  const exactWith = (repair: Repair): number => share(noised.results, ({ source, target }) => repair(source) === target)
  return {
    shares: {
      exact: noised.exact,
      exactNothing: noised.exactNothing,
      exactCapital: exactWith(capitalAndFullStop),
      exactRules: exactWith(rules),
      cleanDamaged: noised.cleanDamaged,
      meanRounds: noised.meanRounds,
      exactStripped: share(bare, ({ target }, index) => cleaned[index]?.text === target),
      exactStrippedCapital: share(bare, ({ source, target }) => capitalAndFullStop(source) === target),
      exactStrippedRules: share(bare, ({ source, target }) => rules(source) === target),
      evaluationSeconds: (performance.now() - started) / 1000,
    },
  }
}

/** The sentences without case and punctuation. */
export function stripped(examples: readonly Example[]): { source: string; target: string }[] {
  return examples.map(({ target }, row) => ({ source: strip(target, randomFrom(noiseSeed, 0, row, 'strip')), target }))
}

function share<T>(items: readonly T[], holds: (item: T, index: number) => boolean): number {
  return items.length === 0 ? 0 : items.filter(holds).length / items.length
}
