// Best: the checkpoint with the best number of its evaluation, kept beside those that rotate.

import { randomBytes } from 'node:crypto'
import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { BestRule } from '../config.js'
import { MergeError } from '../errors.js'
import { didYouMean } from '../hint.js'
import { verifyFolder } from '../savedFolder.js'

/** The best evaluation of a run so far. */
export const bestSoFar = z.strictObject({
  metric: z.string(),
  mode: z.enum(['max', 'min']),
  value: z.number(),
  step: z.int().min(1),
})

export type BestSoFar = Readonly<z.output<typeof bestSoFar>>

/** Where the best checkpoint goes, among the others of a run. */
export const bestFolder = (checkpoints: string): string => join(checkpoints, 'best')

/**
 * The evaluation of a step as the best so far, or `undefined` where an earlier one is as good. A number that is not finite
 * is never the best. `ERR_CONFIG` where the evaluation has no number of that name.
 */
export function newBest(
  { metric, mode }: BestRule,
  found: { readonly step: number; readonly evaluation: Readonly<Record<string, number>> },
  before: BestSoFar | undefined,
): BestSoFar | undefined {
  const value = found.evaluation[metric]
  if (value === undefined) throw unknownMetric(metric, Object.keys(found.evaluation))
  if (!Number.isFinite(value)) return undefined
  if (before !== undefined && !(mode === 'max' ? value > before.value : value < before.value)) return undefined
  return { metric, mode, value, step: found.step }
}

/** What is wrong with a metric that an evaluation does not have. */
export function unknownMetric(metric: string, known: readonly string[]): MergeError {
  const message = `recipe.best.metric: expected one of ${known.join(', ')}, received ${JSON.stringify(metric)}`
  return new MergeError('ERR_CONFIG', `${message}${didYouMean(metric, known)}`)
}

/** What was the best before, if it is still judged in the same way and lies in the run's folder. */
export function bestStill(
  before: BestSoFar | undefined,
  rule: BestRule | undefined,
  stepInFolder: number | undefined,
): BestSoFar | undefined {
  if (before?.step !== stepInFolder || before?.metric !== rule?.metric || before?.mode !== rule?.mode) return undefined
  return before
}

/** The step of the best checkpoint among a run's; `undefined` where there is none. */
export async function bestStepIn(checkpoints: string): Promise<number | undefined> {
  try {
    return (await verifyFolder(bestFolder(checkpoints))).step
  } catch (error) {
    if (error instanceof MergeError) return undefined
    throw error
  }
}

/**
 * Renames a best checkpoint that a run which goes on after `step` cannot count on: one of a later step, and one that does
 * not verify. Nothing is removed.
 */
export async function setBestAside(checkpoints: string, step: number): Promise<void> {
  const folder = bestFolder(checkpoints)
  const isThere = await stat(folder).then(
    () => true,
    () => false,
  )
  if (!isThere) return
  const found = await bestStepIn(checkpoints)
  if (found === undefined || found > step) await rename(folder, `${folder}.aside-${randomBytes(4).toString('hex')}`)
}
