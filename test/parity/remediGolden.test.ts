// RemeDi against the official modelling code: logits and confidences, with a cached prompt and without a cache; and the way
// of the weights out and in again.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sessionKey } from '../../src/openModel.js'
import { RemediModel } from '../../src/remedi/model.js'
import { packRows } from '../../src/rows.js'
import { worstError } from './golden.js'
import { checkpointFolder, floats, type HostTensor, readExpected, readTensors, remediNames } from './remediGolden.js'

const tolerance = 1e-4

describe.each(remediNames)('the official %s', (name) => {
  let checkpoint: Awaited<ReturnType<typeof checkpointFolder>>
  let model: RemediModel
  let expected: (tensor: string) => number[]

  beforeAll(async () => {
    checkpoint = await checkpointFolder(name)
    expected = await readExpected(name)
    model = await RemediModel.fromPretrained(checkpoint.path, { threads: 2 })
  })
  afterAll(async () => {
    await model.dispose()
    await checkpoint[Symbol.asyncDispose]()
  })

  const row = (tensor: string) => packRows([Int32Array.from(expected(tensor))])

  it('prompt: logits and confidence', async () => {
    const { logits, confidence } = await model[sessionKey].inspect(row('prompt_ids'), ['logits', 'confidence'])
    const errors = [
      worstError(logits?.values ?? [], expected('prompt_logits')),
      worstError(confidence?.values ?? [], expected('prompt_confidence')),
    ]
    console.log(`${name} prompt: worst error ${errors.map((error) => error.toExponential(1))}`)
    for (const error of errors) expect(error).toBeLessThanOrEqual(tolerance)
  })

  it.each(['cached', 'whole'] as const)('block behind the prompt, %s', async (way) => {
    const arrays = await model[sessionKey].inspectBehind(row('prompt_ids'), row('block_ids'), way, [
      'logits',
      'confidence',
    ])
    const errors = [
      worstError(arrays.logits?.values ?? [], expected('block_logits')),
      worstError(arrays.confidence?.values ?? [], expected('block_confidence')),
    ]
    console.log(`${name} block ${way}: worst error ${errors.map((error) => error.toExponential(1))}`)
    for (const error of errors) expect(error).toBeLessThanOrEqual(tolerance)
  })

  it('export and import give the same bits under the official names, whole and in shards', async () => {
    const original = await readTensors(join(checkpoint.path, 'model.safetensors'))
    for (const [kind, shardBytes] of [
      ['whole', 5e9],
      ['shards', 300_000],
    ] as const) {
      const path = join(checkpoint.folder, kind)
      await model.exportPretrained(path, { shardBytes })
      const files = (await readdir(path)).filter((file) => file.endsWith('.safetensors'))
      expect(files.length > 1).toBe(kind === 'shards')
      const written = new Map<string, Buffer>()
      for (const file of files) {
        for (const [tensor, { bytes }] of await readTensors(join(path, file))) written.set(tensor, bytes)
      }
      expect([...written.keys()].sort()).toEqual([...original.keys()].sort())
      for (const [tensor, { bytes }] of original) expect(written.get(tensor)?.equals(bytes), tensor).toBe(true)
      const again = await RemediModel.fromPretrained(path)
      expect({ ...again.config, maxLength: 0 }).toEqual({ ...model.config, maxLength: 0 })
      const tokens = row('prompt_ids')
      expect(await again[sessionKey].inspect(tokens, ['logits'])).toEqual(
        await model[sessionKey].inspect(tokens, ['logits']),
      )
      await again.dispose()
    }
  })

  it('save and load give the same bits', async () => {
    const path = join(checkpoint.folder, 'saved')
    await model.save(path)
    const again = await RemediModel.load(path)
    expect(again.config).toEqual(model.config)
    const tokens = row('block_ids')
    expect(await again[sessionKey].inspect(tokens, ['logits', 'confidence'])).toEqual(
      await model[sessionKey].inspect(tokens, ['logits', 'confidence']),
    )
    await again.dispose()
  })

  it('bfloat16 weights are half the bytes and near', async () => {
    const half = await RemediModel.fromPretrained(checkpoint.path, { weightDtype: 'bfloat16' })
    expect(half.config.dtype).toBe('bfloat16')
    const bytes = async (of: RemediModel) => (await of.memory()).parameterBytes ?? 0
    expect((await bytes(half)) / (await bytes(model))).toBeLessThan(0.52)
    const { logits } = await half[sessionKey].inspect(row('prompt_ids'), ['logits'])
    expect(worstError(logits?.values ?? [], expected('prompt_logits'))).toBeLessThan(0.5)
    const path = join(checkpoint.folder, 'half')
    await half.exportPretrained(path)
    const written = await readTensors(join(path, 'model.safetensors'))
    expect(new Set([...written.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']))
    // bfloat16 is the upper half of float32, rounded.
    const first = floats(
      (await readTensors(join(checkpoint.path, 'model.safetensors'))).get('model.ln_f_upm.weight') ?? {
        bytes: Buffer.alloc(0),
        dtype: 'F32',
        shape: [],
      },
    )[0]
    expect(first).toBeDefined()
    await half.dispose()
  })
})

describe('what a config.json says', () => {
  it('four policy blocks without upm_positions stand where the official class puts them', async () => {
    await using checkpoint = await checkpointFolder('depth12', ({ upm_positions: _, ...config }) => config)
    await using model = await RemediModel.fromPretrained(checkpoint.path)
    expect(model.config.policyPositions).toEqual([0, 10])
    expect(model.config.policyBlocks).toBe(4)
  })

  it.each([
    [{ n_layers: 13 }, 'expected a tensor model.transformer.blocks.12.attn_norm.weight, received none'],
    [{ n_layers: 11, upm_positions: [0, 10] }, 'no place for 9 of its tensors: model.transformer.blocks.11'],
    [{ n_kv_heads: 2 }, 'k_proj.weight": expected shape [24, 48], received [48, 48]'],
    [{ d_model: 40 }, 'expected shape [96, 40], received [96, 48]'],
    [{ layer_norm_type: 'default' }, 'layer_norm_type: expected "rms", received "default"'],
    [{ alibi: true }, 'alibi: expected false or null, received true'],
    [{ upm_positions: [0, 2, 4, 6, 8] }, 'expected 5 policy blocks (upm_positions), received 4'],
    [{ mask_token_id: undefined }, 'expected a tokenizer.json or a mask_token_id in config.json, received neither'],
  ])('refuses %j', async (change, message) => {
    await using checkpoint = await checkpointFolder('depth12', (config) => ({ ...config, ...change }))
    await expect(RemediModel.fromPretrained(checkpoint.path)).rejects.toThrow(message)
  })
})

describe('checkpoints without a policy stream', () => {
  const logitsOf = async (model: RemediModel) => {
    const { logits, confidence } = await model[sessionKey].inspect(packRows([Int32Array.of(5, 6, 7, 95)]), [
      'logits',
      'confidence',
    ])
    return { logits: logits?.values ?? new Float32Array(), confidence: confidence?.values ?? new Float32Array() }
  }
  const isPolicy = (name: string) => /upm|backprop|linear_confidence/.test(name)
  const zeroed = (tensors: Map<string, HostTensor>) =>
    new Map(
      [...tensors].map(([name, tensor]) => [
        name,
        /backprop_linears/.test(name) ? { ...tensor, bytes: Buffer.alloc(tensor.bytes.length) } : tensor,
      ]),
    )

  it('LLaDA: the token stream is the same, the policy stream is drawn by the seed and starts at zero', async () => {
    await using base = await checkpointFolder(
      'depth12-gqa',
      ({ upm_positions: _, ...config }) => config,
      (tensors) => new Map([...tensors].filter(([name]) => !isPolicy(name))),
    )
    await using whole = await checkpointFolder('depth12-gqa', (config) => config, zeroed)
    await using llada = await RemediModel.fromPretrained(base.path, { policyBlocks: 3 })
    await using again = await RemediModel.fromPretrained(base.path, { policyBlocks: 3 })
    await using other = await RemediModel.fromPretrained(base.path, { policyBlocks: 3, seed: 1 })
    await using remedi = await RemediModel.fromPretrained(whole.path)
    expect(llada.config.policyPositions).toEqual([0, 5, 10])
    const [first, second, third, reference] = [
      await logitsOf(llada),
      await logitsOf(again),
      await logitsOf(other),
      await logitsOf(remedi),
    ]
    expect(worstError(first.logits, reference.logits)).toBeLessThanOrEqual(1e-6)
    expect(second).toEqual(first)
    expect(third.logits).toEqual(first.logits)
    expect(third.confidence).not.toEqual(first.confidence)
    expect(Math.abs(first.confidence[0] ?? 0)).toBeGreaterThan(0)
  })

  it('LLaMA: the same weights under its names, in an embedding that grows by a mask', async () => {
    const names: [RegExp, string][] = [
      [/^model\.transformer\.wte/, 'model.embed_tokens'],
      [/^model\.transformer\.ln_f/, 'model.norm'],
      [/^model\.transformer\.ff_out/, 'lm_head'],
      [/^model\.transformer\.blocks/, 'model.layers'],
      [/attn_norm/, 'input_layernorm'],
      [/ff_norm/, 'post_attention_layernorm'],
      [/([qkv]_proj)/, 'self_attn.$1'],
      [/attn_out/, 'self_attn.o_proj'],
      [/ff_proj/, 'mlp.gate_proj'],
      [/up_proj/, 'mlp.up_proj'],
      [/ff_out/, 'mlp.down_proj'],
    ]
    const renamed = (name: string) => names.reduce((text, [pattern, to]) => text.replace(pattern, to), name)
    await using llama = await checkpointFolder(
      'depth12-gqa',
      (config) => ({
        model_type: 'llama',
        hidden_size: config.d_model,
        num_hidden_layers: config.n_layers,
        num_attention_heads: config.n_heads,
        num_key_value_heads: config.n_kv_heads,
        intermediate_size: config.mlp_hidden_size,
        rms_norm_eps: config.rms_norm_eps,
        rope_theta: config.rope_theta,
        mask_token_id: 95,
      }),
      (tensors) =>
        new Map([...tensors].filter(([name]) => !isPolicy(name)).map(([name, tensor]) => [renamed(name), tensor])),
    )
    await using whole = await checkpointFolder('depth12-gqa', (config) => config, zeroed)
    await using model = await RemediModel.fromPretrained(llama.path)
    await using remedi = await RemediModel.fromPretrained(whole.path)
    expect(worstError((await logitsOf(model)).logits, (await logitsOf(remedi)).logits)).toBeLessThanOrEqual(1e-6)
    // With a tokenizer that has no mask, the embedding grows by the ids it adds.
    const letters = Object.fromEntries(Array.from({ length: 96 }, (_, id) => [String.fromCharCode(0x4e00 + id), id]))
    const file = { version: '1.0', model: { type: 'BPE', vocab: letters, merges: [] }, added_tokens: [] }
    await writeFile(join(llama.path, 'tokenizer.json'), JSON.stringify(file))
    const config = JSON.parse(await readFile(join(llama.path, 'config.json'), 'utf8'))
    await writeFile(join(llama.path, 'config.json'), JSON.stringify({ ...config, mask_token_id: undefined }))
    await using grown = await RemediModel.fromPretrained(llama.path)
    expect(grown.config.embeddings).toBe(101)
    expect(grown.config.mask).toBe(grown.tokenizer.special.mask)
    const tokens = packRows([Int32Array.of(5, 6, 7)])
    const [wide, narrow] = [
      (await grown[sessionKey].inspect(tokens, ['logits'])).logits?.values ?? new Float32Array(),
      (await model[sessionKey].inspect(tokens, ['logits'])).logits?.values ?? new Float32Array(),
    ]
    expect(worstError(wide.subarray(0, 96), narrow.subarray(0, 96))).toBeLessThanOrEqual(1e-6)
    expect(wide.subarray(96, 101).every((logit) => logit !== 0)).toBe(true)
  })

  it('a head in shared rows', async () => {
    await using tied = await checkpointFolder(
      'depth12',
      (config) => ({ ...config, weight_tying: true }),
      (tensors) => new Map([...tensors].filter(([name]) => name !== 'model.transformer.ff_out.weight')),
    )
    await using same = await checkpointFolder('depth12', undefined, (tensors) => {
      const wte = tensors.get('model.transformer.wte.weight')
      return wte === undefined ? tensors : new Map([...tensors, ['model.transformer.ff_out.weight', wte]])
    })
    await using one = await RemediModel.fromPretrained(tied.path)
    await using two = await RemediModel.fromPretrained(same.path)
    expect(one.config.tiedHead).toBe(true)
    expect(one.parameterCount).toBeLessThan(two.parameterCount)
    expect(await logitsOf(one)).toEqual(await logitsOf(two))
  })
})
