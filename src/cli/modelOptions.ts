// Model options: what every command that runs a model takes, and the model it opens with them.

import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { placementConfig, type RefineOptions } from '../config.js'
import { isMergeError, MergeError } from '../errors.js'
import { type LoadOptions, MergeModel } from '../model.js'
import { parseConfig } from '../parseConfig.js'

/** Where a model lies and where it runs. */
export interface ModelFlags {
  readonly model: string
  readonly device?: string
  readonly dtype?: string
  readonly matmulPrecision?: string
  readonly threads?: number
}

/** Flags of commands that take models of every kind. */
export interface AnyModelFlags extends ModelFlags {
  readonly weightDtype?: string
}

/** How text is refined; absent flags keep the model's defaults. */
export interface RefineFlags {
  readonly maxRounds?: number
  readonly editThreshold?: number
  readonly keepThreshold?: number
  readonly fillThreshold?: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly seed?: number
  readonly condition?: string
}

/** Flags of a refinement loop that mean nothing to a model which only writes on. */
export const loopFlagNames = [
  'maxRounds',
  'editThreshold',
  'keepThreshold',
  'fillThreshold',
  'condition',
] as const satisfies readonly (keyof RefineFlags)[]

/** Adds --model, --device, --dtype, --matmul-precision and --threads. */
export function takesModel(command: Command): Command {
  return command
    .requiredOption('-m, --model <folder>', 'the model: a folder that a training run or `save` wrote')
    .option('--device <device>', 'cpu or cuda:<n> (default: as saved)')
    .option('--dtype <type>', 'float32 or bfloat16 (default: as saved)')
    .option('--matmul-precision <name>', 'highest, medium or int8 (default: as saved)')
    .option('--threads <n>', 'threads of the engine (default: as many as there are cores)', numberOf)
}

/** Adds the flags of a refinement loop. */
export function takesRefinement(command: Command): Command {
  return command
    .option('--max-rounds <n>', 'most rounds (default: 6)', numberOf)
    .option('--edit-threshold <share>', 'the gate opens above it (default: 0.5)', numberOf)
    .option('--keep-threshold <share>', 'a token stays above it (default: 0.5)', numberOf)
    .option('--fill-threshold <share>', 'a mask less sure waits for a later round (default: 0, none waits)', numberOf)
    .option('--temperature <t>', '0: always the most probable token (default: 0)', numberOf)
    .option('--top-k <n>', 'sample among the k most probable tokens (default: all)', numberOf)
    .option('--top-p <share>', 'sample among the most probable tokens of this mass (default: 1)', numberOf)
    .option('--seed <n>', 'seed of the sampling (default: 0)', numberOf)
    .option('--condition <text>', 'stands before every text, is read with it, and never changes')
}

const placementFlags = placementConfig.extend({ weightDtype: z.enum(['float32', 'bfloat16']).optional() })

/** Where and how a model runs, of the flags that were given. */
export function placementOf(flags: AnyModelFlags) {
  const { device, dtype, matmulPrecision, weightDtype, threads } = flags
  const placed = parseConfig(placementFlags, defined({ device, dtype, matmulPrecision, weightDtype }), '')
  return { ...placed, ...(threads === undefined ? {} : { threads }) }
}

/** Loads the model that the flags name. */
export async function openModel(flags: ModelFlags): Promise<MergeModel> {
  const options: LoadOptions = placementOf(flags)
  return MergeModel.load(flags.model, options).catch((error: unknown) => {
    // The engine knows the file, not the folder.
    if (!isMergeError(error, 'ERR_CHECKPOINT') || error.message.includes(flags.model)) throw error
    throw new MergeError(error.code, `${flags.model}: ${error.message}`, { cause: error.cause, details: error.details })
  })
}

/** The options of the loop among the flags. */
export function refineOptions(flags: RefineFlags): Partial<RefineOptions> {
  const { maxRounds, editThreshold, keepThreshold, fillThreshold, temperature, topK, topP, seed, condition } = flags
  return defined({ maxRounds, editThreshold, keepThreshold, fillThreshold, temperature, topK, topP, seed, condition })
}

/** Parses the number of a flag; its range is checked with the other options. */
export function numberOf(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && !Number.isNaN(value)) return value
  throw new InvalidArgumentError('Expected a number.')
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> }

// Options without the flags that were not given.
function defined<T extends object>(flags: T): Defined<T> {
  return Object.assign(
    {},
    ...Object.entries(flags).flatMap(([key, value]) => (value === undefined ? [] : [{ [key]: value }])),
  )
}
