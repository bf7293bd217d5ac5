// Pretrained: a folder of published weights, or one of ours, as the start of a model's encoder and head.

import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { EncoderShape } from '../config.js'
import { isMergeError, MergeError } from '../errors.js'
import type { NativeSource } from '../native.js'
import { checkpointError, manifestName } from '../savedFolder.js'
import { tokenIds, tokenizerFile } from '../text/specialRoles.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { loadTokenizer } from '../text/tokenizerFile.js'
import { bert } from './bert.js'
import { configFields, planOf } from './blueprint.js'
import { llama } from './llama.js'
import { modernBert } from './modernBert.js'
import { ownFolder } from './ownFolder.js'
import { readShards } from './shards.js'

/** What a folder gives a new model. */
export interface Pretrained {
  readonly shape: EncoderShape
  readonly tokenizer: Tokenizer
  /** Which of its tensors become which of ours. */
  readonly plan: readonly NativeSource[]
  /** Positions of the longest row that its weights know, sentinels counted. */
  readonly longest: number
}

/** Kinds of published models. */
const families = [llama, bert, modernBert]
const config = z.looseObject({ architectures: z.array(z.string()).min(1) })

/** Reads a folder; no weight is loaded yet. `ERR_CHECKPOINT` says what has no equal here, and which tensors do not fit. */
export async function openPretrained(folder: string): Promise<Pretrained> {
  try {
    if (await exists(join(folder, manifestName))) {
      return { ...(await ownFolder(folder)), tokenizer: await loadTokenizer(folder) }
    }
    return await published(folder)
  } catch (error) {
    if (!isMergeError(error, 'ERR_CHECKPOINT') || error.message.startsWith(folder)) throw error
    throw new MergeError('ERR_CHECKPOINT', `${folder}: ${error.message}`, { cause: error, details: error.details })
  }
}

async function published(folder: string): Promise<Pretrained> {
  const described = await jsonOf(folder, 'config.json')
  const [architecture = ''] = configFields(config, described).architectures
  const family = families.find(({ architectures }) => architectures.includes(architecture))
  if (family === undefined) {
    const known = families.flatMap(({ architectures }) => architectures).join(', ')
    throw checkpointError(folder, `config.json: architectures: expected one of ${known}, received ${architecture}`)
  }
  const tensors = await readShards(folder)
  const renamed = family.renamed ?? ((tensor: string) => tensor)
  const names = new Set([...tensors.keys()].map(renamed))
  const blueprint = family.blueprint(described, (tensor) => names.has(tensor))
  const file = tokenizerFile.safeParse(await jsonOf(folder, 'tokenizer.json'))
  if (!file.success) throw checkpointError(folder, 'tokenizer.json: expected a Hugging Face tokenizer')
  const knownTokens = 1 + Math.max(-1, ...tokenIds(file.data).values())
  return {
    shape: blueprint.shape,
    tokenizer: await loadTokenizer(folder, { usual: blueprint.special }),
    plan: planOf(blueprint, { folder, tensors }, knownTokens, renamed),
    longest: blueprint.longest ?? Number.POSITIVE_INFINITY,
  }
}

async function jsonOf(folder: string, name: string): Promise<unknown> {
  const text = await readFile(join(folder, name), 'utf8').catch((cause: unknown) => {
    throw checkpointError(folder, `expected a folder with ${name}, received none`, cause)
  })
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw checkpointError(folder, `${name} is not JSON`, cause)
  }
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
