// loadTokenizer, saveTokenizer: a tokenizer as `tokenizer.json` in a model's folder.

import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import { checkValue } from '../parseConfig.js'
import { byteTokenizer } from './byteTokenizer.js'
import { characterTokenizer } from './characterTokenizer.js'
import { type HuggingFaceTokenizerOptions, huggingFaceTokenizer } from './huggingFaceTokenizer.js'
import { idTokenizer } from './idTokenizer.js'
import { configuredRoles, type RoleNames, roleConfig, tokenizerFile } from './specialRoles.js'
import type { Tokenizer } from './tokenizer.js'

const rolesName = 'tokenizer_config.json'

const maxInputLength = z.int().min(1)
const role = z.int().min(-1)
const builtInFile = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('merge-lm/ids'),
    version: z.literal(1),
    vocabularySize: z.int().min(1),
    special: z.object({ pad: role, bos: role, eos: role, mask: role, sep: role }),
  }),
  z.object({ type: z.literal('merge-lm/byte'), version: z.literal(1), maxInputLength }),
  z.object({
    type: z.literal('merge-lm/character'),
    version: z.literal(1),
    alphabet: z.string(),
    caseShift: z.boolean(),
    maxInputLength,
  }),
])

/**
 * Reads a tokenizer from a `tokenizer.json` or from the folder that holds one: one of ours, or any of Hugging Face's. In
 * a folder, `tokenizer_config.json` says which tokens begin, end and mask a text.
 *
 * @example
 * const tokenizer = await loadTokenizer('runs/quickstart/model')
 */
export async function loadTokenizer(path: string, options: HuggingFaceTokenizerOptions = {}): Promise<Tokenizer> {
  const inFolder = await isFolder(path)
  const file = inFolder ? join(path, 'tokenizer.json') : path
  const usual = { ...(inFolder ? await rolesBeside(path) : {}), ...options.usual }
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new MergeError('ERR_INPUT', `tokenizer: expected a readable file, received ${file}`, { cause })
  })
  return tokenizerFromJson(parseJson(text, file), { ...options, usual })
}

/** The roles that the folder's `tokenizer_config.json` names; none where there is no such file. */
async function rolesBeside(folder: string): Promise<RoleNames> {
  const file = join(folder, rolesName)
  const text = await readFile(file, 'utf8').catch(() => undefined)
  return text === undefined ? {} : configuredRoles(parseJson(text, file))
}

/** A tokenizer from the parsed content of a `tokenizer.json`. */
export function tokenizerFromJson(json: unknown, options: HuggingFaceTokenizerOptions = {}): Tokenizer {
  const type = z.looseObject({ type: z.string() }).safeParse(json)
  if (!type.success || !type.data.type.startsWith('merge-lm/')) return huggingFaceTokenizer(json, options)
  const parsed = checkValue(builtInFile, json, '')
  if (!parsed.success) throw new MergeError('ERR_INPUT', `tokenizer.json: ${parsed.problems.join('; ')}`)
  switch (parsed.data.type) {
    case 'merge-lm/ids':
      return idTokenizer(parsed.data)
    case 'merge-lm/byte':
      return byteTokenizer(parsed.data)
    case 'merge-lm/character':
      return characterTokenizer(parsed.data)
  }
}

/**
 * Writes `tokenizer.json`, and `tokenizer_config.json` for one of Hugging Face's, into a folder that exists; returns the
 * path of the first.
 */
export async function saveTokenizer(tokenizer: Tokenizer, folder: string): Promise<string> {
  const file = join(folder, 'tokenizer.json')
  const partial = `${file}.partial`
  try {
    await writeFile(partial, `${JSON.stringify(tokenizer.toJSON())}\n`)
    await rename(partial, file)
    if (tokenizer.kind === 'huggingface') {
      const roles = roleConfig(tokenizerFile.parse(tokenizer.toJSON()), tokenizer.special)
      await writeFile(join(folder, rolesName), `${JSON.stringify(roles, undefined, 2)}\n`)
    }
  } catch (cause) {
    throw new MergeError('ERR_INPUT', `tokenizer: expected a writable folder, received ${folder}`, { cause })
  }
  return file
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new MergeError('ERR_INPUT', `${file}: expected JSON (${cause instanceof Error ? cause.message : cause})`, {
      cause,
    })
  }
}
