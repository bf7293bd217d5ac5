// gptPretrained: a LLaMA checkpoint in Hugging Face layout, as the shape, the tokenizer and the weights of a baseline.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type StreamShape, streamPieces } from '../pretrained/layouts.js'
import { pretrainedConfig } from '../pretrained/pretrainedConfig.js'
import { readShards } from '../pretrained/shards.js'
import { type StreamSource, wrappedNames } from '../pretrained/streamWeights.js'
import { checkpointError, readJson } from '../savedFolder.js'
import { idTokenizer } from '../text/idTokenizer.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { loadTokenizer } from '../text/tokenizerFile.js'
import type { GptOptions } from './gptConfig.js'

/** A checkpoint that can be read. */
export interface GptCheckpoint extends StreamSource {
  readonly options: GptOptions
  readonly tokenizer: Tokenizer
}

// Stored beside the weights by some programs, and made from the configuration by all.
const ignorable = /rotary_emb\.inv_freq$|^lm_head\.weight$/

/** Reads what a folder says of its model; no weights yet. */
export async function openCheckpoint(folder: string): Promise<GptCheckpoint> {
  const config = pretrainedConfig(folder, await readJson(folder, 'config.json', z.unknown()))
  if (config.layout !== 'llama') throw checkpointError(folder, 'config.json: expected a LLaMA model, received LLaDA')
  const tensors = wrappedNames(await readShards(folder))
  const embeddings = tensors.get('model.embed_tokens.weight')?.shape[0]
  if (embeddings === undefined)
    throw checkpointError(folder, 'expected a tensor model.embed_tokens.weight, received none')
  const tiedHead = config.tiedHead ?? !tensors.has('lm_head.weight')
  const tokenizer = await tokenizerOf(folder, embeddings, config.endOfText?.[0])
  const { layers, width, heads, keyHeads, feedForward, ropeBase, normEpsilon, maxLength, endOfText } = config
  const shape: StreamShape = { layers, width, heads, keyHeads, feedForward, embeddings, tiedHead }
  const pieces = streamPieces('llama', shape)
  const known = new Set(pieces.map(({ tensor }) => tensor))
  const foreign = [...tensors.keys()].filter((name) => !known.has(name) && !ignorable.test(name))
  const missing = [...known].filter((name) => !tensors.has(name))
  if (foreign.length > 0 || missing.length > 0) {
    const list = (names: readonly string[]) => (names.length === 0 ? 'none' : names.slice(0, 3).join(', '))
    throw checkpointError(folder, `tensors: missing ${list(missing)}; without a place ${list(foreign)}`)
  }
  const options: GptOptions = {
    ...{ layers, width, heads, keyHeads, feedForward, ropeBase, normEpsilon, tiedHead },
    // A token that the tokenizer adds needs a row, too, but it is never written.
    embeddings: Math.max(embeddings, tokenizer.vocabularySize),
    vocabulary: Math.min(embeddings, tokenizer.vocabularySize),
    ...(maxLength === undefined ? {} : { maxLength }),
    ...(endOfText === undefined ? {} : { endOfText }),
  }
  return { folder, options, tokenizer, tensors, pieces }
}

async function tokenizerOf(folder: string, embeddings: number, eos: number | undefined): Promise<Tokenizer> {
  const hasOne = await readFile(join(folder, 'tokenizer.json')).then(
    () => true,
    () => false,
  )
  if (hasOne) return loadTokenizer(folder)
  return idTokenizer({ vocabularySize: embeddings, special: eos === undefined ? {} : { eos } })
}
