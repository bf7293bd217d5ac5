// llama2.c's version-0 files (https://github.com/karpathy/llama2.c) as a folder that `MergeModel.fromPretrained` reads:
// config.json, model.safetensors, tokenizer.json.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Writes the folder; `weights` and `tokens` are the paths of the two .bin files. */
export async function writePublished(folder, weights, tokens) {
  const { config, tensors } = readWeights(await readFile(weights))
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'model.safetensors'), safetensors(tensors))
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer(readTokens(await readFile(tokens)))))
}

function readWeights(file) {
  const [width, inner, layers, heads, keyHeads, vocabulary, length] = Array.from({ length: 7 }, (_, i) =>
    file.readInt32LE(4 * i),
  )
  const head = width / heads
  let at = 28
  const take = (rows, columns) => {
    const values = new Float32Array(file.buffer.slice(file.byteOffset + at, file.byteOffset + at + 4 * rows * columns))
    at += 4 * rows * columns
    return { values, shape: rows === 1 ? [columns] : [rows, columns] }
  }
  // Their pairs of a head's values lie side by side; Hugging Face has the first halves, then the second ones.
  const unpaired = ({ values, shape: [rows, columns] }) => {
    const sorted = new Float32Array(values.length)
    for (let row = 0; row < rows; row++) {
      const [h, k] = [Math.floor(row / head), row % head]
      const place = h * head + (k % 2) * (head / 2) + Math.floor(k / 2)
      sorted.set(values.subarray(row * columns, (row + 1) * columns), place * columns)
    }
    return { values: sorted, shape: [rows, columns] }
  }
  const tensors = { 'model.embed_tokens.weight': take(vocabulary, width) }
  const kinds = [
    ['input_layernorm', 1, width],
    ['self_attn.q_proj', width, width, unpaired],
    ['self_attn.k_proj', keyHeads * head, width, unpaired],
    ['self_attn.v_proj', keyHeads * head, width],
    ['self_attn.o_proj', width, width],
    ['post_attention_layernorm', 1, width],
    ['mlp.gate_proj', inner, width],
    ['mlp.down_proj', width, inner],
    ['mlp.up_proj', inner, width],
  ]
  for (const [name, rows, columns, change = (tensor) => tensor] of kinds) {
    for (let i = 0; i < layers; i++) tensors[`model.layers.${i}.${name}.weight`] = change(take(rows, columns))
  }
  tensors['model.norm.weight'] = take(1, width)
  const config = {
    architectures: ['LlamaForCausalLM'],
    hidden_size: width,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    max_position_embeddings: length,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    tie_word_embeddings: true,
    vocab_size: vocabulary,
  }
  return { config, tensors }
}

function safetensors(tensors) {
  const header = {}
  let end = 0
  for (const [name, { values, shape }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + values.byteLength] }
    end += values.byteLength
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...Object.values(tensors).map(({ values }) => Buffer.from(values.buffer))])
}

function readTokens(file) {
  const tokens = []
  for (let at = 4; at < file.length; ) {
    const [score, bytes] = [file.readFloatLE(at), file.readInt32LE(at + 4)]
    tokens.push({ score, text: file.toString('utf8', at + 8, at + 8 + bytes) })
    at += 8 + bytes
  }
  return tokens
}

// SentencePiece's BPE: a token is merged from every two that make it, better scores first.
function tokenizer(tokens) {
  const names = ['<unk>', '<s>', '</s>', ...tokens.slice(3).map(({ text }) => text.replaceAll(' ', '\u2581'))]
  const vocab = Object.fromEntries(names.map((name, id) => [name, id]))
  const merges = names
    .flatMap((name, id) => {
      const letters = [...name]
      if (id < 259 || letters.length < 2) return []
      return letters.slice(1).flatMap((_, i) => {
        const pair = [letters.slice(0, i + 1).join(''), letters.slice(i + 1).join('')]
        return pair.every((part) => part in vocab) ? [{ pair, score: tokens[id].score }] : []
      })
    })
    .sort((a, b) => b.score - a.score)
    .map(({ pair }) => pair)
  const added = names.slice(0, 3).map((content, id) => ({ id, content, special: true, normalized: false }))
  const space = { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' }
  return {
    version: '1.0',
    added_tokens: added,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '\u2581' }, space] },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: { type: 'BPE', vocab, merges, unk_token: '<unk>', byte_fallback: true, fuse_unk: true },
  }
}
