// Layouts: how Hugging Face checkpoints name the tensors of a model of LLaMA blocks, as data: each tensor, the parameter
// of ours that it is, and which rows of it.
//
// LLaDA and RemeDi: `model.transformer.*`, and for the policy stream `model.blocks_upm.*` and its neighbours. LLaMA and
// all that are built like it: `model.layers.*`.

/** A tensor of a file, and the rows of a parameter that it is. */
export interface WeightPiece {
  readonly tensor: string
  readonly parameter: string
  readonly begin: number
  readonly rows: number
}

/** The sizes that names and rows depend on. */
export interface StreamShape {
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly keyHeads: number
  readonly feedForward: number
  /** Rows of the embedding that the file holds. */
  readonly embeddings: number
  readonly tiedHead: boolean
}

/** The families of names. */
export type LayoutName = 'llada' | 'llama'

/** What a layout calls the parts of a block and of the whole. */
interface Layout {
  readonly embedding: string
  readonly norm: string
  readonly head: string
  readonly block: (index: number) => string
  readonly parts: BlockParts
}

interface BlockParts {
  readonly attentionNorm: string
  readonly query: string
  readonly key: string
  readonly value: string
  readonly attentionOutput: string
  readonly feedForwardNorm: string
  readonly gate: string
  readonly up: string
  readonly down: string
}

// ff_proj is the gated one: ff_out(silu(ff_proj x) * up_proj x).
const lladaParts: BlockParts = {
  attentionNorm: 'attn_norm',
  query: 'q_proj',
  key: 'k_proj',
  value: 'v_proj',
  attentionOutput: 'attn_out',
  feedForwardNorm: 'ff_norm',
  gate: 'ff_proj',
  up: 'up_proj',
  down: 'ff_out',
}

const layouts: Readonly<Record<LayoutName, Layout>> = {
  llada: {
    embedding: 'transformer.wte',
    norm: 'transformer.ln_f',
    head: 'transformer.ff_out',
    block: (index) => `transformer.blocks.${index}`,
    parts: lladaParts,
  },
  llama: {
    embedding: 'embed_tokens',
    norm: 'norm',
    head: 'lm_head',
    block: (index) => `layers.${index}`,
    parts: {
      attentionNorm: 'input_layernorm',
      query: 'self_attn.q_proj',
      key: 'self_attn.k_proj',
      value: 'self_attn.v_proj',
      attentionOutput: 'self_attn.o_proj',
      feedForwardNorm: 'post_attention_layernorm',
      gate: 'mlp.gate_proj',
      up: 'mlp.up_proj',
      down: 'mlp.down_proj',
    },
  },
}

/** The pieces of a stack of blocks with its embedding, norm and head. */
export function streamPieces(name: LayoutName, shape: StreamShape): WeightPiece[] {
  const layout = layouts[name]
  const whole = (tensor: string, parameter: string, rows: number): WeightPiece => {
    return { tensor: `${tensor}.weight`, parameter, begin: 0, rows }
  }
  // LLaMA's head stands outside of `model`.
  const inside = (part: string): string => (part === 'lm_head' ? part : `model.${part}`)
  return [
    whole(inside(layout.embedding), 'embedding.weight', shape.embeddings),
    ...Array.from({ length: shape.layers }, (_, b) =>
      blockPieces(layout.parts, inside(layout.block(b)), `token.blocks.${b}`, shape),
    ).flat(),
    whole(inside(layout.norm), 'token.norm.weight', shape.width),
    ...(shape.tiedHead ? [] : [whole(inside(layout.head), 'head.weight', shape.embeddings)]),
  ]
}

/** The pieces of RemeDi's policy stream: its blocks, the ways back, and the confidence head. */
export function policyPieces(shape: StreamShape, blocks: number): WeightPiece[] {
  const { width } = shape
  const pieces = Array.from({ length: blocks }, (_, i): WeightPiece[] => [
    ...blockPieces(lladaParts, `model.blocks_upm.${i}`, `policy.blocks.${i}`, shape),
    {
      tensor: `model.backprop_norms.${i}.weight`,
      parameter: `policy.back.${i}.norm.weight`,
      begin: 0,
      rows: width,
    },
    {
      tensor: `model.backprop_linears.${i}.weight`,
      parameter: `policy.back.${i}.linear.weight`,
      begin: 0,
      rows: width,
    },
    { tensor: `model.backprop_linears.${i}.bias`, parameter: `policy.back.${i}.linear.bias`, begin: 0, rows: width },
  ])
  return [
    ...pieces.flat(),
    { tensor: 'model.ln_f_upm.weight', parameter: 'policy.norm.weight', begin: 0, rows: width },
    { tensor: 'model.linear_confidence.weight', parameter: 'policy.confidence.weight', begin: 0, rows: 1 },
    { tensor: 'model.linear_confidence.bias', parameter: 'policy.confidence.bias', begin: 0, rows: 1 },
  ]
}

function blockPieces(parts: BlockParts, tensors: string, block: string, shape: StreamShape): WeightPiece[] {
  const { width, feedForward } = shape
  const keys = (width / shape.heads) * shape.keyHeads
  const piece = (tensor: string, parameter: string, begin: number, rows: number): WeightPiece => {
    return { tensor: `${tensors}.${tensor}.weight`, parameter: `${block}.${parameter}.weight`, begin, rows }
  }
  return [
    piece(parts.attentionNorm, 'attention_norm', 0, width),
    piece(parts.query, 'attention.qkv', 0, width),
    piece(parts.key, 'attention.qkv', width, keys),
    piece(parts.value, 'attention.qkv', width + keys, keys),
    piece(parts.attentionOutput, 'attention.output', 0, width),
    piece(parts.feedForwardNorm, 'feed_forward_norm', 0, width),
    piece(parts.gate, 'feed_forward.gate_up', 0, feedForward),
    piece(parts.up, 'feed_forward.gate_up', feedForward, feedForward),
    piece(parts.down, 'feed_forward.down', 0, width),
  ]
}
