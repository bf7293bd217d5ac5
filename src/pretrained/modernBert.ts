// ModernBERT: the shape and the names: rotary positions with two bases, local blocks between global ones.

import { z } from 'zod'
import { type Blueprint, blockParts, configFields, type SourceFamily } from './blueprint.js'
import { ropeParameters } from './ropeFields.js'

const count = z.int().min(1)
const fields = z.looseObject({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  hidden_activation: z.literal('gelu').default('gelu'),
  classifier_activation: z.literal('gelu').default('gelu'),
  norm_eps: z.number().default(1e-5),
  norm_bias: z.literal(false).optional(),
  attention_bias: z.literal(false).optional(),
  mlp_bias: z.literal(false).optional(),
  classifier_bias: z.literal(false).optional(),
  decoder_bias: z.literal(true).optional(),
  tie_word_embeddings: z.literal(true).optional(),
  local_attention: count.default(128),
  // Newer files name each layer's kind, older ones how often a global one comes.
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
  global_attn_every_n_layers: count.default(3),
  rope_parameters: z.looseObject({ full_attention: ropeParameters, sliding_attention: ropeParameters }).nullish(),
  global_rope_theta: z.number().default(160_000),
  local_rope_theta: z.number().nullish(),
})

const block = {
  'attention.qkv.weight': ['attn.Wqkv.weight'],
  'attention.output.weight': ['attn.Wo.weight'],
  'feed_forward_norm.weight': ['mlp_norm.weight'],
  'feed_forward.gate_up.weight': ['mlp.Wi.weight'],
  'feed_forward.down.weight': ['mlp.Wo.weight'],
}

/** Published ModernBERT models. */
export const modernBert: SourceFamily = {
  architectures: ['ModernBertForMaskedLM', 'ModernBertModel'],
  blueprint(config, has): Blueprint {
    const read = configFields(fields.superRefine(checkLayers), config)
    const layers = read.num_hidden_layers
    const path = has('model.embeddings.tok_embeddings.weight') ? 'model.' : ''
    const isMasked = has('head.dense.weight')
    const layer = (i: number) => `${path}layers.${i}`
    return {
      shape: {
        layers,
        width: read.hidden_size,
        heads: read.num_attention_heads,
        keyHeads: read.num_attention_heads,
        feedForward: read.intermediate_size,
        localMix: 0,
        positions: 'rope',
        ropeBase: read.rope_parameters?.full_attention.rope_theta ?? read.global_rope_theta,
        normEpsilon: read.norm_eps,
        norm: 'layer',
        embeddingNorm: true,
        activation: 'geglu',
        head: isMasked ? 'transform' : 'tied',
        attentionWindow: Math.floor(read.local_attention / 2),
        globalEvery: globalEvery(read),
        localRopeBase: read.rope_parameters?.sliding_attention.rope_theta ?? read.local_rope_theta ?? 10_000,
      },
      parts: [
        { target: 'embedding.weight', tensors: [`${path}embeddings.tok_embeddings.weight`], use: 'vocabulary' },
        { target: 'embedding.norm.weight', tensors: [`${path}embeddings.norm.weight`] },
        ...blockParts(layers, layer, block),
        // The first block takes the embeddings as they were normalised.
        ...Array.from({ length: layers - 1 }, (_, i) => ({
          target: `encoder.blocks.${i + 1}.attention_norm.weight`,
          tensors: [`${layer(i + 1)}.attn_norm.weight`],
        })),
        { target: 'encoder.norm.weight', tensors: [`${path}final_norm.weight`] },
        ...(isMasked
          ? [
              { target: 'head.transform.weight', tensors: ['head.dense.weight'] },
              { target: 'head.norm.weight', tensors: ['head.norm.weight'] },
              { target: 'head.bias', tensors: ['decoder.bias'], use: 'vocabulary' as const },
            ]
          : []),
      ],
      ignored: [/^decoder\.weight$/, /rotary_emb\.inv_freq$/],
      special: { bos: '[CLS]', eos: '[SEP]' },
    }
  },
}

type Fields = z.output<typeof fields>

function globalEvery({ layer_types, num_hidden_layers, global_attn_every_n_layers }: Fields): number {
  if (!layer_types) return global_attn_every_n_layers
  const second = layer_types.indexOf('full_attention', 1)
  return second < 0 ? num_hidden_layers : second
}

function checkLayers(read: Fields, context: z.RefinementCtx): void {
  const every = globalEvery(read)
  const isRegular = (read.layer_types ?? []).every((kind, i) => (kind === 'full_attention') === (i % every === 0))
  if (isRegular) return
  const message = 'expected full_attention at the first and then every n-th layer, received another order'
  context.addIssue({ code: 'custom', path: ['layer_types'], message })
}
