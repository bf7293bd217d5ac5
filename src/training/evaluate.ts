// evaluateEdits: how well a model edits held-out examples: exact matches, damage to clean text, rounds.

import type { BatchOptions } from '../config.js'
import { MergeError } from '../errors.js'
import type { EditResult } from '../merge/editResult.js'
import type { MergeModel } from '../model.js'
import { randomFrom } from '../random.js'
import type { Corruption } from '../text/corruption.js'
import type { Example } from '../text/dataset.js'

export interface EvaluateOptions extends BatchOptions {
  /** Makes the draft of examples that have none of their own, by `corruptionSeed`. */
  readonly corruption?: Corruption
  /** Default 0. */
  readonly corruptionSeed?: number
}

/** Shares from 0 to 1; 0 over an empty set. */
export interface EditEvaluation {
  readonly examples: number
  /** Share of drafts that became exactly the target. */
  readonly exact: number
  /** The same for doing nothing. */
  readonly exactNothing: number
  /** Share of finished texts that were changed although they need no edit: over-correction. */
  readonly cleanDamaged: number
  /** Rounds taken per draft. */
  readonly meanRounds: number
  /** Each draft with its target and what became of it. */
  readonly results: readonly EditedExample[]
}

export interface EditedExample {
  readonly source: string
  readonly target: string
  readonly result: EditResult
}

/** Edits every example's draft, and every target as it is, and counts. */
export async function evaluateEdits(
  model: MergeModel,
  examples: readonly Example[],
  options: EvaluateOptions = {},
): Promise<EditEvaluation> {
  const { corruption, corruptionSeed = 0, ...editing } = options
  const drafts = examples.map((example, row) => ({
    source: sourceOf(example, row, corruption, corruptionSeed),
    target: example.target,
  }))
  const edited = await model.edit(
    drafts.map(({ source }) => source),
    editing,
  )
  const clean = await model.edit(
    drafts.map(({ target }) => target),
    editing,
  )
  const results = drafts.flatMap((draft, row) => {
    const result = edited[row]
    return result === undefined ? [] : [{ ...draft, result }]
  })
  return {
    examples: drafts.length,
    exact: share(results, ({ result, target }) => result.text === target),
    exactNothing: share(results, ({ source, target }) => source === target),
    cleanDamaged: share(drafts, ({ target }, row) => clean[row]?.text !== target),
    meanRounds: results.reduce((sum, { result }) => sum + result.rounds, 0) / Math.max(1, results.length),
    results,
  }
}

function sourceOf(example: Example, row: number, corruption: Corruption | undefined, seed: number): string {
  const source = example.source ?? corruption?.(example.target, randomFrom(seed, 0, row, 'evaluation'))
  if (source !== undefined) return source
  throw new MergeError('ERR_INPUT', `example ${row}: expected a source or a corruption, received neither`)
}

function share<T>(items: readonly T[], holds: (item: T, index: number) => boolean): number {
  return items.length === 0 ? 0 : items.filter(holds).length / items.length
}
