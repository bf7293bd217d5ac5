// BERT: the shape and the names. Token type 0, the only one here, becomes a part of the positions.

import { z } from 'zod'
import { type Blueprint, blockParts, configFields, type Part, type SourceFamily } from './blueprint.js'

const count = z.int().min(1)
const fields = z.looseObject({
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  max_position_embeddings: count,
  hidden_act: z.literal('gelu').default('gelu'),
  layer_norm_eps: z.number().default(1e-12),
  position_embedding_type: z.literal('absolute').optional(),
  is_decoder: z.literal(false).optional(),
  tie_word_embeddings: z.literal(true).optional(),
})

const both = (ours: string, theirs: string) => ({
  [`${ours}.weight`]: [`${theirs}.weight`],
  [`${ours}.bias`]: [`${theirs}.bias`],
})
const qkv = (kind: string) => ['query', 'key', 'value'].map((name) => `attention.self.${name}.${kind}`)
const block = {
  'attention.qkv.weight': qkv('weight'),
  'attention.qkv.bias': qkv('bias'),
  ...both('attention.output', 'attention.output.dense'),
  ...both('attention_norm', 'attention.output.LayerNorm'),
  ...both('feed_forward.up', 'intermediate.dense'),
  ...both('feed_forward.down', 'output.dense'),
  ...both('feed_forward_norm', 'output.LayerNorm'),
}
const predictions = {
  ...both('head.transform', 'cls.predictions.transform.dense'),
  ...both('head.norm', 'cls.predictions.transform.LayerNorm'),
}

const parts = (table: Readonly<Record<string, readonly string[]>>): Part[] =>
  Object.entries(table).map(([target, tensors]) => ({ target, tensors }))

/** Published BERT models. */
export const bert: SourceFamily = {
  architectures: ['BertForMaskedLM', 'BertForPreTraining', 'BertModel'],
  renamed: (tensor) =>
    tensor.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias'),
  blueprint(config, has): Blueprint {
    const read = configFields(fields, config)
    const path = has('bert.embeddings.word_embeddings.weight') ? 'bert.' : ''
    const isMasked = has('cls.predictions.transform.dense.weight')
    return {
      shape: {
        layers: read.num_hidden_layers,
        width: read.hidden_size,
        heads: read.num_attention_heads,
        keyHeads: read.num_attention_heads,
        feedForward: read.intermediate_size,
        localMix: 0,
        positions: 'absolute',
        normEpsilon: read.layer_norm_eps,
        norm: 'layer',
        normPlace: 'after',
        embeddingNorm: true,
        biases: 'all',
        activation: 'gelu',
        head: isMasked ? 'transform' : 'tied',
      },
      parts: [
        { target: 'embedding.weight', tensors: [`${path}embeddings.word_embeddings.weight`], use: 'vocabulary' },
        {
          target: 'encoder.positions.weight',
          tensors: [`${path}embeddings.position_embeddings.weight`],
          use: 'positions',
        },
        {
          target: 'encoder.positions.weight',
          tensors: [`${path}embeddings.token_type_embeddings.weight`],
          use: 'added',
        },
        ...parts(both('embedding.norm', `${path}embeddings.LayerNorm`)),
        ...blockParts(read.num_hidden_layers, (i) => `${path}encoder.layer.${i}`, block),
        ...(isMasked ? parts(predictions) : []),
        ...(isMasked ? [{ target: 'head.bias', tensors: ['cls.predictions.bias'], use: 'vocabulary' as const }] : []),
      ],
      ignored: [/(^|\.)pooler\./, /^cls\.seq_relationship\./, /\.position_ids$/, /^cls\.predictions\.decoder\./],
      longest: read.max_position_embeddings,
      special: { bos: '[CLS]', eos: '[SEP]' },
    }
  },
}
