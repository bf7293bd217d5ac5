// Resume: from a checkpoint to a loaded model with its moments, and the state of the trainer it belonged to.

import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { type CommonRecipe, placementConfig, type RecipeOptions } from '../config.js'
import { MergeError } from '../errors.js'
import { type LoadOptions, sessionOf } from '../model.js'
import { checkValue, parseConfig } from '../parseConfig.js'
import { checkpointError, manifestName, verifyFolder } from '../savedFolder.js'
import { startedEngine } from '../session.js'
import { packageVersion } from '../version.js'
import { type FoundCheckpoint, resumableCheckpoint } from './checkpoint.js'
import type { Figures, TrainableModel } from './task.js'
import { differences, exactnessOf, optimizerName, readState, stateName, type TrainerState } from './trainerState.js'

/** What of a recipe may change when a run goes on. A changed length moves what is left of the schedules. */
export const freeOfRecipe = ['steps', 'minutes', 'saveEvery', 'keep', 'evaluateEvery', 'best'] as const

/** How a run goes on. Threads, device and dtype are those of the checkpoint unless they are given. */
export type ResumeOptions = LoadOptions & {
  /** Changes of the recipe; every other key stays as it was. */
  readonly recipe?: Pick<RecipeOptions, (typeof freeOfRecipe)[number]>
  /** Goes on where equal bits cannot be kept, with a warning for each reason. Default false: refused. */
  readonly allowNondeterministic?: boolean
  /** Told what is not as it should be: a newer checkpoint that was refused, bits that will differ. Default: process.emitWarning. */
  readonly warn?: (message: string) => void
  /** The clock of the run in milliseconds; tests bring their own. */
  readonly now?: () => number
}

/** A class of models that reads what its models wrote. */
export interface ModelKind<M> {
  load(folder: string, options?: LoadOptions): Promise<M>
}

/** A model with its moments, the recipe it was trained by, and where its run stands. */
export interface LoadedCheckpoint<M, R> {
  readonly model: M
  readonly recipe: R
  readonly state: TrainerState
}

/** Loads a checkpoint; the caller disposes the model. */
export async function loadCheckpoint<M, O, R extends CommonRecipe, F extends Figures>(
  from: string | FoundCheckpoint,
  options: ResumeOptions,
  kind: ModelKind<M & TrainableModel<O, R, F>>,
): Promise<LoadedCheckpoint<M & TrainableModel<O, R, F>, R>> {
  const { recipe = {}, allowNondeterministic = false, warn = emitWarning, now: _, threads, ...rest } = options
  const placement = parseConfig(placementConfig, rest, '')
  const { folder, refused } = typeof from === 'string' ? await find(from) : from
  for (const { message } of refused) warn(`${message}; going on from ${folder}`)
  const state = await readState(folder, await verifyFolder(folder))
  checkChanges(recipe)
  const settle = (reasons: readonly string[]): void => {
    for (const reason of reasons) {
      if (!allowNondeterministic) {
        throw new MergeError('ERR_CONFIG', `${reason}; allowNondeterministic goes on without equal bits`, {
          details: { folder },
        })
      }
      warn(`${reason}; the run goes on without equal bits`)
    }
  }

  // 1) what was asked for, before the engine starts
  const { exactness } = state
  const team = threads ?? startedEngine()?.threads ?? exactness.threads
  settle(differences(exactness, { version: packageVersion(), threads: team, ...placement }))

  // 2) the engine, which has libraries of its own
  const model = await kind.load(folder, { ...placement, ...(team === null ? {} : { threads: team }) })
  try {
    const { libtorch, cpu } = exactnessOf(model.config)
    settle(differences(exactness, { libtorch, cpu }))
    const saved = checkValue(model.recipeSchema, state.recipe, 'recipe')
    if (!saved.success) throw checkpointError(folder, `${stateName}: ${saved.problems.join('; ')}`)
    const changed = parseConfig(model.recipeSchema, { ...saved.data, ...recipe }, 'recipe')
    await sessionOf(model).load(join(folder, optimizerName), 'optimizer')
    return { model, recipe: changed, state }
  } catch (error) {
    await model.dispose()
    throw error
  }
}

async function find(from: string): Promise<FoundCheckpoint> {
  const isSaved = await lstat(join(from, manifestName)).then(
    () => true,
    () => false,
  )
  if (isSaved) return { folder: from, step: 0, refused: [] }
  const found = await resumableCheckpoint(join(from, 'checkpoints'))
  if (found !== undefined) return found
  throw checkpointError(from, 'expected a checkpoint, or a run with checkpoints, received neither')
}

function checkChanges(changes: ResumeOptions['recipe'] & object): void {
  const unknown = Object.keys(changes).find((key) => !freeOfRecipe.some((free) => free === key))
  if (unknown === undefined) return
  throw new MergeError(
    'ERR_CONFIG',
    `recipe.${unknown}: expected only ${freeOfRecipe.join(', ')}; everything else stays as the run began`,
  )
}

function emitWarning(message: string): void {
  process.emitWarning(message, 'MergeWarning')
}
