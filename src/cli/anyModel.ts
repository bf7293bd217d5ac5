// anyModel: what kind of model a folder holds, and that model opened with the flags of a command.

import { z } from 'zod'
import { isMergeError, MergeError } from '../errors.js'
import type { MergeModel } from '../model.js'
import { RemediModel } from '../remedi/model.js'
import { checkpointError, readJson } from '../savedFolder.js'
import { type BaselineFamily, type BaselineModel, baselineFamilies, isBaseline, openBaseline } from './baselines.js'
import { type AnyModelFlags, openModel, placementOf } from './modelOptions.js'

/** The kinds of model folders: the families of ours, and checkpoints of other programs. */
export type FolderKind = 'merge' | 'remedi' | 'pretrained' | BaselineFamily

/** Reads config.json alone. A folder without one is taken for ours, which then says what it lacks. */
export async function folderKind(folder: string): Promise<FolderKind> {
  const config = await readJson(folder, 'config.json', z.looseObject({ family: z.unknown().optional() })).catch(
    (error: unknown) => {
      if (isMergeError(error, 'ERR_CHECKPOINT')) return { family: 'merge' }
      throw error
    },
  )
  const { family } = config
  if (family === 'merge' || family === 'remedi' || isBaseline(family)) return family
  if (family === undefined) return 'pretrained'
  throw checkpointError(folder, `config.json: family: expected merge, remedi or ${baselineFamilies.join(', ')}`)
}

/** A model of any family. */
export type AnyModel = MergeModel | RemediModel | BaselineModel

/** Opens a model of any kind. */
export async function openAnyModel(flags: AnyModelFlags): Promise<AnyModel> {
  const kind = await folderKind(flags.model)
  if (isBaseline(kind)) return openBaseline(kind, flags)
  return kind === 'merge' ? openMergeModel(flags) : openRemediModel(flags)
}

async function openMergeModel({ weightDtype, ...flags }: AnyModelFlags): Promise<MergeModel> {
  if (weightDtype === undefined) return openModel(flags)
  throw new MergeError('ERR_CONFIG', `weight-dtype: expected a model of family remedi, received merge`)
}

/** Opens a RemeDi model: one that was saved here, or a checkpoint in Hugging Face layout. */
export async function openRemediModel(flags: AnyModelFlags): Promise<RemediModel> {
  const options = placementOf(flags)
  const kind = await folderKind(flags.model)
  if (kind !== 'remedi' && kind !== 'pretrained') {
    throw new MergeError('ERR_CONFIG', `model: expected a model of family remedi, received ${kind}`)
  }
  return kind === 'remedi' ? RemediModel.load(flags.model, options) : RemediModel.fromPretrained(flags.model, options)
}

/** Refuses flags that only another family takes: they would do nothing. */
export function refuse<F extends object>(flags: F, names: readonly (keyof F)[], family: string): void {
  const given = names.find((name) => flags[name] !== undefined)
  if (given === undefined) return
  const flag = String(given).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  throw new MergeError('ERR_CONFIG', `${flag}: expected a model of family ${family}`)
}
