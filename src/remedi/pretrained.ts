// pretrained: RemeDi, LLaDA and LLaMA checkpoints in Hugging Face layout, into a model and out again, shard by shard.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { NativeSession } from '../native.js'
import { policyPieces, type StreamShape, streamPieces, type WeightPiece } from '../pretrained/layouts.js'
import { type PretrainedConfig, pretrainedConfig } from '../pretrained/pretrainedConfig.js'
import { indexName, readShards } from '../pretrained/shards.js'
import { type NamedTensors, nativePieces, readStream, wrappedNames } from '../pretrained/streamWeights.js'
import { checkpointError, readJson, writeJson } from '../savedFolder.js'
import { idTokenizer } from '../text/idTokenizer.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { loadTokenizer, saveTokenizer } from '../text/tokenizerFile.js'
import type { RemediConfig, RemediOptions } from './config.js'

/** A checkpoint that can be read. */
export interface Pretrained {
  readonly folder: string
  readonly options: RemediOptions
  readonly tokenizer: Tokenizer
  readonly tensors: NamedTensors
  readonly pieces: readonly WeightPiece[]
  /** Rows of the embedding that the file holds. */
  readonly embeddings: number
}

// The official class has these, whatever its depth; blocks beyond the depth are never used.
const officialPositions = [0, 10, 20, 30]
// Stored beside the weights by some programs, and made from the configuration by all.
const ignorable = /rotary_emb\.inv_freq$|^lm_head\.weight$|^model\.transformer\.ff_out\.weight$/

/** Reads what a folder says of its model; no weights yet. */
export async function openPretrained(folder: string): Promise<Pretrained> {
  const config = pretrainedConfig(folder, await readJson(folder, 'config.json', z.unknown()))
  const tensors = wrappedNames(await readShards(folder))
  const shapeOf = (name: string): readonly number[] => {
    const shape = tensors.get(name)?.shape
    if (shape === undefined) throw checkpointError(folder, `expected a tensor ${name}, received none`)
    return shape
  }
  const [embedding, head] =
    config.layout === 'llada'
      ? ['model.transformer.wte.weight', 'model.transformer.ff_out.weight']
      : ['model.embed_tokens.weight', 'lm_head.weight']
  const embeddings = shapeOf(embedding)[0] ?? 0
  const tiedHead = config.tiedHead ?? !tensors.has(head)
  const held = [...tensors.keys()].filter((name) => /^model\.backprop_norms\.\d+\.weight$/.test(name)).length
  const policy = policyShape(folder, config, held)
  const tokenizer = await tokenizerOf(folder, config, embeddings)
  const mask = config.mask ?? tokenizer.special.mask
  const endOfText = config.endOfText ?? (tokenizer.special.eos >= 0 ? [tokenizer.special.eos] : [])
  const { layers, width, heads, keyHeads, feedForward, ropeBase, normEpsilon, scaledLogits, maxLength } = config
  const options: RemediOptions = {
    layers,
    width,
    heads,
    keyHeads,
    feedForward,
    ropeBase,
    normEpsilon,
    scaledLogits,
    tiedHead,
    // A token that the tokenizer adds needs a row, too.
    embeddings: Math.max(embeddings, tokenizer.vocabularySize),
    ...(maxLength === undefined ? {} : { maxLength }),
    ...policy,
    mask,
    endOfText,
  }
  const shape: StreamShape = { layers, width, heads, keyHeads, feedForward, embeddings, tiedHead }
  const pieces = [...streamPieces(config.layout, shape), ...(held === 0 ? [] : policyPieces(shape, held))]
  const known = new Set(pieces.map(({ tensor }) => tensor))
  const foreign = [...tensors.keys()].filter((name) => !known.has(name) && !ignorable.test(name))
  if (foreign.length > 0) {
    throw checkpointError(folder, `no place for ${foreign.length} of its tensors: ${foreign.slice(0, 3).join(', ')}`)
  }
  for (const { tensor } of pieces) shapeOf(tensor)
  return { folder, options, tokenizer, tensors, pieces, embeddings }
}

/** Fills a blank model; what the checkpoint lacks (LLaDA: the policy stream; a base model: the mask's row) is drawn. */
export function readPretrained(session: NativeSession, pretrained: Pretrained): Promise<void> {
  return readStream(session, pretrained)
}

/** How a checkpoint is written. */
export interface ExportOptions {
  /** Of the tensors in the files. Default: as the model holds its matrices. */
  readonly dtype?: 'float32' | 'bfloat16' | undefined
  /** Most bytes of a file, but for a single larger tensor. Default 5e9, as Hugging Face's libraries do. */
  readonly shardBytes?: number | undefined
}

/** What an export needs of a model. */
export interface ExportContext {
  readonly session: NativeSession
  readonly config: RemediConfig
  readonly tokenizer: Tokenizer
  readonly embeddings: number
}

/** Writes the model's weights, config.json and tokenizer.json in the official layout into a folder that is being written. */
export async function writePretrained(
  folder: string,
  { session, config, tokenizer, embeddings }: ExportContext,
  options: ExportOptions,
): Promise<void> {
  const dtype = options.dtype ?? config.weightDtype
  const shape: StreamShape = { ...config, embeddings }
  const pieces = [...streamPieces('llada', shape), ...policyPieces(shape, config.policyBlocks)]
  const widths = new Map((await session.parameters()).map(({ name, shape: [, width = 1] }) => [name, width]))
  const bytesOf = (piece: WeightPiece): number =>
    piece.rows * (widths.get(piece.parameter) ?? 1) * (dtype === 'bfloat16' ? 2 : 4)
  const shards = shardsOf(pieces, bytesOf, options.shardBytes ?? 5e9)
  const nameOf = (index: number): string =>
    shards.length === 1
      ? 'model.safetensors'
      : `model-${String(index + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`
  for (const [index, shard] of shards.entries()) {
    await session.writePieces(join(folder, nameOf(index)), nativePieces(shard), dtype)
  }
  if (shards.length > 1) {
    const map = shards.flatMap((shard, index) => shard.map(({ tensor }) => [tensor, nameOf(index)]))
    const total = pieces.reduce((sum, piece) => sum + bytesOf(piece), 0)
    await writeJson(folder, indexName, { metadata: { total_size: total }, weight_map: Object.fromEntries(map) })
  }
  await writeJson(folder, 'config.json', officialConfig(config, embeddings, dtype))
  if (tokenizer.kind !== 'ids') await saveTokenizer(tokenizer, folder)
}

/** The files beside the weights that a checkpoint keeps as they are: chat template and its kin. */
export async function readAttachments(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  for (const name of attachmentNames) {
    const content = await readFile(join(folder, name)).catch(() => undefined)
    if (content !== undefined) found.set(name, content)
  }
  return found
}

/** Writes them into a folder that is being written. */
export async function writeAttachments(folder: string, attachments: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [name, content] of attachments) await writeFile(join(folder, name), content)
}

const attachmentNames = [
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'generation_config.json',
] as const

function policyShape(folder: string, config: PretrainedConfig, held: number) {
  if (held === 0) return config.policyPositions === undefined ? {} : { policyPositions: config.policyPositions }
  const official = officialPositions.filter((position) => position < config.layers)
  // Four are the official class's, whose places do not follow the depth; another number follows the rule of section 1.
  const positions = config.policyPositions ?? (held === officialPositions.length ? official : undefined)
  if (positions !== undefined && positions.length > held) {
    throw checkpointError(folder, `expected ${positions.length} policy blocks (upm_positions), received ${held}`)
  }
  return { policyBlocks: held, ...(positions === undefined ? {} : { policyPositions: positions }) }
}

async function tokenizerOf(folder: string, config: PretrainedConfig, embeddings: number): Promise<Tokenizer> {
  const hasOne = await readFile(join(folder, 'tokenizer.json')).then(
    () => true,
    () => false,
  )
  if (hasOne) return loadTokenizer(folder)
  if (config.mask === undefined) {
    throw checkpointError(folder, 'expected a tokenizer.json or a mask_token_id in config.json, received neither')
  }
  const special = { mask: config.mask, ...(config.endOfText?.[0] === undefined ? {} : { eos: config.endOfText[0] }) }
  return idTokenizer({ vocabularySize: embeddings, special })
}

function shardsOf(
  pieces: readonly WeightPiece[],
  bytesOf: (piece: WeightPiece) => number,
  most: number,
): WeightPiece[][] {
  const shards: WeightPiece[][] = [[]]
  let bytes = 0
  for (const piece of pieces) {
    const size = bytesOf(piece)
    if (bytes > 0 && bytes + size > most) {
      shards.push([])
      bytes = 0
    }
    shards.at(-1)?.push(piece)
    bytes += size
  }
  return shards
}

// What the official class reads; upm_positions is ours, and that class passes over it.
function officialConfig(config: RemediConfig, embeddings: number, dtype: 'float32' | 'bfloat16') {
  const end = config.endOfText ?? []
  return {
    architectures: ['RemeDiUPMModelLM'],
    model_type: 'RemeDi',
    n_layers: config.layers,
    d_model: config.width,
    n_heads: config.heads,
    n_kv_heads: config.keyHeads,
    mlp_hidden_size: config.feedForward,
    vocab_size: embeddings,
    embedding_size: embeddings,
    max_sequence_length: config.maxLength,
    rope: true,
    rope_theta: config.ropeBase,
    rms_norm_eps: config.normEpsilon,
    weight_tying: config.tiedHead,
    scale_logits: config.scaledLogits,
    block_type: 'llama',
    block_group_size: 1,
    layer_norm_type: 'rms',
    activation_type: 'silu',
    alibi: false,
    include_bias: false,
    include_qkv_bias: false,
    bias_for_layer_norm: false,
    attention_layer_norm: false,
    input_emb_norm: false,
    attention_dropout: 0,
    residual_dropout: 0,
    embedding_dropout: 0,
    upm_positions: config.policyPositions,
    ...(config.mask === undefined ? {} : { mask_token_id: config.mask }),
    ...(end.length === 0 ? {} : { eos_token_id: end.length === 1 ? end[0] : end, pad_token_id: end[0] }),
    torch_dtype: dtype,
  }
}
