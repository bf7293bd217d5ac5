// pretrainedConfig: the `config.json` of a Hugging Face checkpoint, read as the shape of a stack of LLaMA blocks. What our
// blocks cannot do is refused by name.

import { z } from 'zod'
import { checkValue } from '../parseConfig.js'
import { checkpointError } from '../savedFolder.js'
import type { LayoutName } from './layouts.js'
import { ropeFields } from './ropeFields.js'

/** What a `config.json` says of a model, in our words; what it leaves out is absent. */
export interface PretrainedConfig {
  readonly layout: LayoutName
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly keyHeads: number
  readonly feedForward: number
  readonly maxLength: number | undefined
  readonly ropeBase: number
  readonly normEpsilon: number
  /** Absent: whether the checkpoint has a head decides. */
  readonly tiedHead: boolean | undefined
  readonly scaledLogits: boolean
  readonly mask: number | undefined
  readonly endOfText: readonly number[] | undefined
  readonly policyPositions: readonly number[] | undefined
}

const size = z.int().min(1)
const id = z.int().min(0)
const ids = {
  mask_token_id: id.nullish(),
  eos_token_id: z.union([id, z.array(id)]).nullish(),
}

/** A key whose other values our blocks cannot follow. */
const only = (...values: readonly (string | number | boolean | null)[]) => z.literal(values).optional()

const llada = z.looseObject({
  d_model: size,
  n_layers: size,
  n_heads: size,
  n_kv_heads: size.nullish(),
  multi_query_attention: z.boolean().nullish(),
  mlp_hidden_size: size.nullish(),
  mlp_ratio: size.nullish(),
  max_sequence_length: size.nullish(),
  rope_theta: z.number().nullish(),
  rms_norm_eps: z.number().nullish(),
  weight_tying: z.boolean().nullish(),
  scale_logits: z.boolean().nullish(),
  upm_positions: z.array(id).min(1).nullish(),
  ...ids,
  rope: only(true),
  alibi: only(false, null),
  block_type: only('llama'),
  block_group_size: only(1, null),
  layer_norm_type: only('rms'),
  activation_type: only('silu'),
  attention_layer_norm: only(false, null),
  input_emb_norm: only(false, null),
  include_bias: only(false, null),
  include_qkv_bias: only(false, null),
  bias_for_layer_norm: only(false, null),
})

const llama = z.looseObject({
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  intermediate_size: size,
  max_position_embeddings: size.nullish(),
  rms_norm_eps: z.number().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  ...ids,
  hidden_act: only('silu', 'swish'),
  ...ropeFields,
  attention_bias: only(false, null),
  mlp_bias: only(false, null),
})

/** Reads the content of a `config.json`; `ERR_CHECKPOINT` names each key that is missing or cannot be followed. */
export function pretrainedConfig(folder: string, content: unknown): PretrainedConfig {
  const isLlada = z.looseObject({ d_model: z.unknown().optional() }).safeParse(content).data?.d_model !== undefined
  return isLlada ? fromLlada(folder, content) : fromLlama(folder, content)
}

function fromLlada(folder: string, content: unknown): PretrainedConfig {
  const config = accepted(folder, llada, content)
  const isSingle = config.n_kv_heads == null && config.multi_query_attention === true
  return {
    layout: 'llada',
    layers: config.n_layers,
    width: config.d_model,
    heads: config.n_heads,
    keyHeads: config.n_kv_heads ?? (isSingle ? 1 : config.n_heads),
    feedForward: config.mlp_hidden_size ?? (config.mlp_ratio ?? 4) * config.d_model,
    maxLength: config.max_sequence_length ?? undefined,
    ropeBase: config.rope_theta ?? 10_000,
    normEpsilon: config.rms_norm_eps ?? 1e-5,
    tiedHead: config.weight_tying ?? undefined,
    scaledLogits: config.scale_logits ?? false,
    policyPositions: config.upm_positions ?? undefined,
    ...idsOf(config),
  }
}

function fromLlama(folder: string, content: unknown): PretrainedConfig {
  const config = accepted(folder, llama, content)
  const { hidden_size: width, num_attention_heads: heads } = config
  if (config.head_dim != null && config.head_dim * heads !== width) {
    throw checkpointError(folder, `config.json: head_dim: expected ${width / heads}, received ${config.head_dim}`)
  }
  return {
    layout: 'llama',
    layers: config.num_hidden_layers,
    width,
    heads,
    keyHeads: config.num_key_value_heads ?? heads,
    feedForward: config.intermediate_size,
    maxLength: config.max_position_embeddings ?? undefined,
    ropeBase: config.rope_theta ?? config.rope_parameters?.rope_theta ?? 10_000,
    normEpsilon: config.rms_norm_eps ?? 1e-6,
    tiedHead: config.tie_word_embeddings ?? undefined,
    scaledLogits: false,
    policyPositions: undefined,
    ...idsOf(config),
  }
}

function idsOf(config: z.output<z.ZodObject<typeof ids>>) {
  const end = config.eos_token_id ?? undefined
  return {
    mask: config.mask_token_id ?? undefined,
    endOfText: end === undefined ? undefined : Array.isArray(end) ? end : [end],
  }
}

function accepted<S extends z.ZodType>(folder: string, schema: S, content: unknown): z.output<S> {
  const result = checkValue(schema, content, '')
  if (result.success) return result.data
  throw checkpointError(folder, `config.json: ${result.problems.join('; ')}`)
}
