// Blueprint: what a published model is in our terms: the shape of the encoder, and which of its tensors become which of
// ours.

import { join } from 'node:path'
import type { z } from 'zod'
import type { EncoderShape } from '../config.js'
import { MergeError } from '../errors.js'
import type { NativeSource } from '../native.js'
import { checkValue } from '../parseConfig.js'
import type { RoleNames } from '../text/specialRoles.js'
import type { ShardTensor } from './shards.js'

/** One tensor of ours: theirs below each other. */
export interface Part {
  readonly target: string
  readonly tensors: readonly string[]
  /**
   * `vocabulary`: a row for each token of the tokenizer's file; new tokens get new rows. `positions`: as many rows as the
   * model has positions. `added`: the first row, added to all of the target's so far. Default `whole`.
   */
  readonly use?: 'whole' | 'vocabulary' | 'positions' | 'added'
}

/** A published model in our terms. */
export interface Blueprint {
  readonly shape: EncoderShape
  readonly parts: readonly Part[]
  /** Tensors of the file that have no place here: heads of other tasks, copies of tied weights. */
  readonly ignored: readonly RegExp[]
  /** Positions of its longest row, sentinels counted; absent: any. */
  readonly longest?: number
  /** Tokens that play a role here which the usual names do not give them. */
  readonly special: RoleNames
}

/** A kind of published models. */
export interface SourceFamily {
  /** Words of `architectures` in config.json. */
  readonly architectures: readonly string[]
  /** Today's name of a tensor that older files call otherwise. */
  readonly renamed?: (tensor: string) => string
  /** Throws `ERR_CHECKPOINT` for a configuration that has no equal here. */
  blueprint(config: unknown, has: (tensor: string) => boolean): Blueprint
}

/** Names of a block's tensors, ours and theirs, as parts of block `i`. */
export function blockParts(
  layers: number,
  path: (i: number) => string,
  table: Readonly<Record<string, readonly string[]>>,
): Part[] {
  return Array.from({ length: layers }, (_, i) =>
    Object.entries(table).map(([ours, theirs]) => ({
      target: `encoder.blocks.${i}.${ours}`,
      tensors: theirs.map((name) => `${path(i)}.${name}`),
    })),
  ).flat()
}

/** The plan that the engine carries out; `knownTokens` is how many ids the tokenizer's file has itself. */
export function planOf(
  { parts, ignored }: Pick<Blueprint, 'parts' | 'ignored'>,
  { folder, tensors: held }: { readonly folder: string; readonly tensors: ReadonlyMap<string, ShardTensor> },
  knownTokens: number,
  renamed: (tensor: string) => string = (tensor) => tensor,
): NativeSource[] {
  const named = new Map([...held].map(([tensor, { file }]) => [renamed(tensor), { tensor, file: join(folder, file) }]))
  const missing: string[] = []
  const plan = parts.flatMap(({ target, tensors, use = 'whole' }) =>
    tensors.flatMap((name): NativeSource[] => {
      const found = named.get(name)
      if (found === undefined) missing.push(name)
      return found === undefined
        ? []
        : [{ target, ...found, ...uses[use], ...(use === 'vocabulary' ? { rows: knownTokens } : {}) }]
    }),
  )
  const wanted = new Set(parts.flatMap(({ tensors }) => tensors))
  const unexpected = [...named.keys()].filter(
    (name) => !wanted.has(name) && !ignored.some((pattern) => pattern.test(name)),
  )
  const problems = [listed('missing', missing), listed('unexpected', unexpected)].filter((text) => text !== '')
  if (problems.length === 0) return plan
  throw new MergeError('ERR_CHECKPOINT', `tensors: ${problems.join('; ')}`, { details: { missing, unexpected } })
}

const uses = {
  whole: { use: 'whole', rows: 0 },
  vocabulary: { use: 'rows', rows: 0 },
  positions: { use: 'cut', rows: 0 },
  added: { use: 'added', rows: 0 },
} as const

function listed(word: string, names: readonly string[]): string {
  if (names.length === 0) return ''
  const more = names.length > 8 ? ` and ${names.length - 8} more` : ''
  return `${word} ${names.slice(0, 8).join(', ')}${more}`
}

/** The fields of a config.json, or `ERR_CHECKPOINT` with what is not as it must be. */
export function configFields<S extends z.ZodType>(schema: S, config: unknown): z.output<S> {
  const result = checkValue(schema, config, '')
  if (result.success) return result.data
  throw new MergeError('ERR_CHECKPOINT', `config.json: ${result.problems.join('; ')}`)
}
