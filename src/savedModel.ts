// SavedModel: what stands beside the weights in the folder of every family's model: its configuration and its tokenizer.

import { join } from 'node:path'
import type { z } from 'zod'
import { MergeError } from './errors.js'
import { readJson, verifyFolder, writeJson } from './savedFolder.js'
import type { Tokenizer } from './text/tokenizer.js'
import { loadTokenizer, saveTokenizer } from './text/tokenizerFile.js'

const weightsName = 'model.safetensors'

/** The tokenizer of a new model; `ERR_CONFIG` where a caller gave none. */
export function givenTokenizer(tokenizer: Tokenizer | undefined): Tokenizer {
  if (typeof tokenizer?.encode === 'function') return tokenizer
  throw new MergeError('ERR_CONFIG', 'tokenizer: expected a tokenizer, received none')
}

/** Reads a folder that `save` or a training run wrote; every file is verified first. The weights are not read yet. */
export async function readSavedModel<S extends z.ZodType>(
  folder: string,
  schema: S,
): Promise<{ readonly saved: z.output<S>; readonly tokenizer: Tokenizer; readonly weights: string }> {
  await verifyFolder(folder)
  const saved = await readJson(folder, 'config.json', schema)
  return { saved, tokenizer: await loadTokenizer(folder), weights: join(folder, weightsName) }
}

/**
 * Writes the files of a model, without a manifest, into a folder that is being written; `config` is what its config.json
 * says beside the format, `writeWeights` writes the weights into a new file.
 */
export async function writeSavedModel(
  folder: string,
  { config, tokenizer }: { readonly config: { readonly family: string }; readonly tokenizer: Tokenizer },
  writeWeights: (file: string) => Promise<void>,
): Promise<void> {
  await writeJson(folder, 'config.json', { format: 1, ...config })
  await saveTokenizer(tokenizer, folder)
  await writeWeights(join(folder, weightsName))
}
