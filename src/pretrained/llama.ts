// LLaMA's family (LLaMA, Mistral, Qwen2): the shape and the names. Its attention loses the causal mask here, so its
// head was trained for another task: what remains is a warm start.

import { z } from 'zod'
import { type Blueprint, blockParts, configFields, type SourceFamily } from './blueprint.js'
import { ropeFields } from './ropeFields.js'

const count = z.int().min(1)
const fields = z.looseObject({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  hidden_act: z.literal('silu').default('silu'),
  rms_norm_eps: z.number().default(1e-6),
  attention_bias: z.literal(false).optional(),
  mlp_bias: z.literal(false).optional(),
  tie_word_embeddings: z.boolean().default(false),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().default(true),
  ...ropeFields,
})

const block = {
  'attention_norm.weight': ['input_layernorm.weight'],
  'attention.qkv.weight': ['self_attn.q_proj.weight', 'self_attn.k_proj.weight', 'self_attn.v_proj.weight'],
  'attention.output.weight': ['self_attn.o_proj.weight'],
  'feed_forward_norm.weight': ['post_attention_layernorm.weight'],
  'feed_forward.gate_up.weight': ['mlp.gate_proj.weight', 'mlp.up_proj.weight'],
  'feed_forward.down.weight': ['mlp.down_proj.weight'],
}
const queryBiases = {
  'attention.qkv.bias': ['self_attn.q_proj.bias', 'self_attn.k_proj.bias', 'self_attn.v_proj.bias'],
}

/** Published LLaMA-like models. */
export const llama: SourceFamily = {
  architectures: [
    ...['LlamaForCausalLM', 'LlamaModel', 'MistralForCausalLM', 'MistralModel'],
    ...['Qwen2ForCausalLM', 'Qwen2Model'],
  ],
  blueprint(config, has): Blueprint {
    const head = (value: z.output<typeof fields>) => value.head_dim ?? value.hidden_size / value.num_attention_heads
    const read = configFields(
      fields.refine((value) => head(value) * value.num_attention_heads === value.hidden_size, {
        path: ['head_dim'],
        message: 'expected hidden_size / num_attention_heads, received another width',
      }),
      config,
    )
    const path = has('model.embed_tokens.weight') ? 'model.' : ''
    const biased = has(`${path}layers.0.self_attn.q_proj.bias`)
    const untied = has('lm_head.weight') && !read.tie_word_embeddings
    return {
      shape: {
        layers: read.num_hidden_layers,
        width: read.hidden_size,
        heads: read.num_attention_heads,
        keyHeads: read.num_key_value_heads ?? read.num_attention_heads,
        feedForward: read.intermediate_size,
        localMix: 0,
        positions: 'rope',
        ropeBase: read.rope_theta ?? read.rope_parameters?.rope_theta ?? 10_000,
        normEpsilon: read.rms_norm_eps,
        biases: biased ? 'queries' : 'none',
        head: untied ? 'untied' : 'tied',
      },
      parts: [
        { target: 'embedding.weight', tensors: [`${path}embed_tokens.weight`], use: 'vocabulary' },
        ...blockParts(
          read.num_hidden_layers,
          (i) => `${path}layers.${i}`,
          biased ? { ...block, ...queryBiases } : block,
        ),
        { target: 'encoder.norm.weight', tensors: [`${path}norm.weight`] },
        ...(untied ? [{ target: 'head.weight', tensors: ['lm_head.weight'], use: 'vocabulary' as const }] : []),
      ],
      ignored: [/rotary_emb\.inv_freq$/, ...(untied ? [] : [/^lm_head\.weight$/])],
      ...(read.use_sliding_window && typeof read.sliding_window === 'number' ? { longest: read.sliding_window } : {}),
      special: {},
    }
  },
}
