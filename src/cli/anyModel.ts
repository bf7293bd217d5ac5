// anyModel: what kind of model a folder holds, and that model opened with the flags of a command.

import { z } from 'zod'
import { LevtModel } from '../baselines/levt.js'
import { levtEditSchemas } from '../baselines/levtConfig.js'
import { isMergeError, MergeError } from '../errors.js'
import { type MergeModel, mergeEditSchemas } from '../model.js'
import { parseConfig } from '../parseConfig.js'
import { RemediModel } from '../remedi/model.js'
import { checkpointError, readJson } from '../savedFolder.js'
import { type ModelFlags, openModel, placementOf } from './modelOptions.js'

/** The families of our model folders, as config.json names them, and what opens them. */
const families = { merge: openMergeModel, remedi: openRemediModel, levt: openLevtModel } as const

/** The families whose models edit drafts round by round, and their options. */
export const editors = { merge: mergeEditSchemas, levt: levtEditSchemas } as const

/** The kinds of model folders: those of ours, and checkpoints of other programs. */
export type FolderKind = keyof typeof families | 'pretrained'
export type EditorKind = keyof typeof editors
/** A model of any kind. */
export type AnyModel = MergeModel | RemediModel | LevtModel

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
  if (config.family === undefined) return 'pretrained'
  if (isKeyOf(families, config.family)) return config.family
  const known = Object.keys(families).map((family) => JSON.stringify(family))
  throw checkpointError(folder, `config.json: family: expected ${known.join(' or ')}`)
}

/** Whether a folder's model edits drafts round by round. */
export const isEditor = (kind: FolderKind): kind is EditorKind => isKeyOf(editors, kind)

/** The kind of a folder, which must be one of those that a command takes. */
export async function expectKind<K extends FolderKind>(folder: string, kinds: readonly K[]): Promise<K> {
  const received = await folderKind(folder)
  const kind = kinds.find((each) => each === received)
  if (kind !== undefined) return kind
  const families = kinds.filter((each) => each !== 'pretrained').join(' or ')
  throw new MergeError('ERR_CONFIG', `model: expected one of family ${families}, received ${received}`)
}

function isKeyOf<T extends object>(table: T, key: unknown): key is keyof T {
  return typeof key === 'string' && Object.hasOwn(table, key)
}

/** Opens a model of any kind. */
export async function openAnyModel(flags: AnyModelFlags): Promise<AnyModel> {
  const kind = await folderKind(flags.model)
  return families[kind === 'pretrained' ? 'remedi' : kind](flags)
}

/** Opens a model that edits drafts round by round. */
export async function openEditingModel(flags: AnyModelFlags): Promise<MergeModel | LevtModel> {
  const kind = await expectKind(flags.model, ['merge', 'levt'])
  return families[kind](flags)
}

async function openMergeModel({ weightDtype, ...flags }: AnyModelFlags): Promise<MergeModel> {
  refuse({ weightDtype }, ['weightDtype'], 'remedi, received merge')
  return openModel(flags)
}

async function openLevtModel({ weightDtype, ...flags }: AnyModelFlags): Promise<LevtModel> {
  refuse({ weightDtype }, ['weightDtype'], 'remedi, received levt')
  return LevtModel.load(flags.model, placementOf(flags))
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
