// RemeDi against the official modelling code: logits and confidences, with a cached prompt and without a cache; and the way
// of the weights out and in again.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RemediModel } from '../../src/remedi/model.js'
import { packRows } from '../../src/rows.js'
import { sessionKey } from '../../src/training/task.js'
import { worstError } from './golden.js'
import { checkpointFolder, floats, readExpected, readTensors, remediNames } from './remediGolden.js'

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
