// anyModel: what kind of model a folder holds, and that model opened with the flags of a command.

import { z } from 'zod'
import { isMergeError, MergeError } from '../errors.js'
import type { MergeModel } from '../model.js'
import { parseConfig } from '../parseConfig.js'
import { RemediModel } from '../remedi/model.js'
import { checkpointError, readJson } from '../savedFolder.js'
import { type ModelFlags, openModel } from './modelOptions.js'

/** The kinds of model folders: two of ours, and checkpoints of other programs. */
export type FolderKind = 'merge' | 'remedi' | 'pretrained'

/** Flags of commands that take models of every kind. */
export interface AnyModelFlags extends ModelFlags {
  readonly weightDtype?: string
}

/** Reads config.json alone. A folder without one is taken for ours, which then says what it lacks. */
export async function folderKind(folder: string): Promise<FolderKind> {
  const config = await readJson(folder, 'config.json', z.looseObject({ family: z.unknown().optional() })).catch(
    (error: unknown) => {
      if (isMergeError(error, 'ERR_CHECKPOINT')) return { family: 'merge' }
      throw error
    },
  )
  if (config.family === 'merge' || config.family === 'remedi') return config.family
  if (config.family === undefined) return 'pretrained'
  throw checkpointError(folder, 'config.json: family: expected "merge" or "remedi"')
}

/** Opens a model of any kind. */
export async function openAnyModel(flags: AnyModelFlags): Promise<MergeModel | RemediModel> {
  return (await folderKind(flags.model)) === 'merge' ? openMergeModel(flags) : openRemediModel(flags)
}

async function openMergeModel({ weightDtype, ...flags }: AnyModelFlags): Promise<MergeModel> {
  if (weightDtype === undefined) return openModel(flags)
  throw new MergeError('ERR_CONFIG', `weight-dtype: expected a model of family remedi, received merge`)
}

const placement = z.strictObject({
  device: z.string().optional(),
  dtype: z.enum(['float32', 'bfloat16']).optional(),
  weightDtype: z.enum(['float32', 'bfloat16']).optional(),
})

/** Opens a RemeDi model: one that was saved here, or a checkpoint in Hugging Face layout. */
export async function openRemediModel(flags: AnyModelFlags): Promise<RemediModel> {
  const { device, dtype, weightDtype, threads } = flags
  const given = Object.entries({ device, dtype, weightDtype }).filter(([, value]) => value !== undefined)
  const parsed = parseConfig(placement, Object.fromEntries(given), '')
  const options = { ...parsed, ...(threads === undefined ? {} : { threads }) }
  return (await folderKind(flags.model)) === 'remedi'
    ? RemediModel.load(flags.model, options)
    : RemediModel.fromPretrained(flags.model, options)
}

/** Refuses flags that only another family takes: they would do nothing. */
export function refuse<F extends object>(flags: F, names: readonly (keyof F)[], family: string): void {
  const given = names.find((name) => flags[name] !== undefined)
  if (given === undefined) return
  const flag = String(given).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  throw new MergeError('ERR_CONFIG', `${flag}: expected a model of family ${family}`)
}
