// Models that start from published weights, against Hugging Face transformers in Python (test/golden/import/make.py).
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isMergeError } from '../../src/errors.js'
import { MergeModel, sessionOf } from '../../src/model.js'
import { packRows } from '../../src/rows.js'
import { worstError } from './golden.js'

const golden = (name: string) => fileURLToPath(new URL(`../golden/import/${name}`, import.meta.url))
const expected = z.object({
  rows: z.array(z.array(z.int()).transform((row) => Int32Array.from(row))),
  ends: z.tuple([z.int(), z.int()]),
  known: z.int(),
  logits: z.array(z.number()),
})
const names = ['llama', 'mistral', 'qwen2', 'bert', 'bert-model', 'modernbert'] as const
const readExpected = async (name: string) =>
  expected.parse(JSON.parse(await readFile(join(golden(name), 'expected.json'), 'utf8')))

/** The logits of a model's own vocabulary at every position; columns of new tokens are left out. */
async function logitsOf(model: MergeModel, rows: readonly Int32Array[], known: number): Promise<number[]> {
  const { logits } = await sessionOf(model).inspect(packRows(rows), ['logits'])
  const columns = logits?.shape[1] ?? 0
  return [...(logits?.values ?? [])].filter((_, i) => i % columns < known)
}

let scratch = ''
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'merge-lm-pretrained-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

describe.each(names)('%s', (name) => {
  it('has the logits of transformers at every position', async () => {
    const { rows, ends, known, logits } = await readExpected(name)
    await using model = await MergeModel.fromPretrained(golden(name), { threads: 2 })
    expect([model.tokenizer.special.bos, model.tokenizer.special.eos]).toEqual(ends)
    expect(model.pretrained).toBe(true)
    const error = worstError(await logitsOf(model, rows, known), logits)
    console.log(`${name}: worst error ${error.toExponential(1)} of ${logits.length} logits`)
    expect(error).toBeLessThanOrEqual(1e-4)
  })

  it('comes back as it was saved: weights, tokenizer, roles', async () => {
    const { rows, known, logits } = await readExpected(name)
    const folder = join(scratch, name)
    {
      await using model = await MergeModel.fromPretrained(golden(name))
      await model.save(folder)
      const { special, vocabularySize } = model.tokenizer
      await using loaded = await MergeModel.load(folder)
      expect(loaded.tokenizer.special).toEqual(special)
      expect(loaded.tokenizer.vocabularySize).toBe(vocabularySize)
      expect(loaded.pretrained).toBe(true)
      expect(worstError(await logitsOf(loaded, rows, known), logits)).toBeLessThanOrEqual(1e-4)
    }
    // And once more as the start of another model: encoder and head are taken, the rest is another one.
    await using again = await MergeModel.fromPretrained(folder, { seed: 5, deleter: 'linear', inserter: 'linear' })
    expect(worstError(await logitsOf(again, rows, known), logits)).toBeLessThanOrEqual(1e-4)
  })
})

describe('new tokens', () => {
  it('start near the mean of the others, no two alike', async () => {
    await using model = await MergeModel.fromPretrained(golden('llama'))
    const { mask, sep, pad, bos } = model.tokenizer.special
    expect(Math.min(mask, sep, pad)).toBeGreaterThan(bos)
    const { rows, known } = await readExpected('llama')
    const { logits } = await sessionOf(model).inspect(packRows(rows), ['logits'])
    const [positions = 0, columns = 0] = logits?.shape ?? []
    const row = [...(logits?.values ?? [])].slice(columns, 2 * columns)
    const mean = row.slice(0, known).reduce((sum, value) => sum + value, 0) / known
    const spread = Math.sqrt(row.slice(0, known).reduce((sum, value) => sum + (value - mean) ** 2, 0) / known)
    expect(positions).toBeGreaterThan(1)
    for (const id of [mask, sep, pad]) expect(Math.abs((row[id] ?? Number.NaN) - mean)).toBeLessThan(spread)
    expect(new Set([mask, sep, pad].map((id) => row[id])).size).toBe(3)
  })
})

describe('what has no equal here is refused by name', () => {
  /** A copy of a golden folder with a changed config.json. */
  async function changed(name: string, change: Readonly<Record<string, unknown>>): Promise<string> {
    const folder = await mkdtemp(join(scratch, 'changed-'))
    await cp(golden(name), folder, { recursive: true })
    const config: unknown = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ ...z.record(z.string(), z.unknown()).parse(config), ...change }),
    )
    return folder
  }
  async function refusal(folder: string, options = {}): Promise<string> {
    try {
      await using _ = await MergeModel.fromPretrained(folder, options)
      return 'accepted'
    } catch (error) {
      return isMergeError(error) ? `${error.code} ${error.message.replace(folder, 'FOLDER')}` : String(error)
    }
  }

  it.each([
    [
      'llama',
      { rope_scaling: { rope_type: 'linear', factor: 2 } },
      'rope_scaling: expected no scaling of the rotary angles',
    ],
    ['llama', { rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters.rope_type: expected no scaling'],
    ['llama', { hidden_act: 'gelu' }, 'hidden_act: expected "silu", received "gelu"'],
    ['llama', { head_dim: 8 }, 'head_dim: expected hidden_size / num_attention_heads'],
    ['llama', { architectures: ['GPT2LMHeadModel'] }, 'architectures: expected one of LlamaForCausalLM'],
    ['bert', { position_embedding_type: 'relative_key' }, 'position_embedding_type: expected "absolute"'],
    ['modernbert', { norm_bias: true }, 'norm_bias: expected false, received true'],
    [
      'modernbert',
      { layer_types: ['full_attention', 'full_attention', 'sliding_attention', 'full_attention'] },
      'layer_types: expected',
    ],
    ['llama', { num_hidden_layers: 3 }, 'tensors: missing model.layers.2.input_layernorm.weight'],
    ['llama', { num_hidden_layers: 1 }, 'tensors: unexpected model.layers.1.input_layernorm.weight'],
    ['llama', { intermediate_size: 32 }, 'feed_forward.down.weight": expected rows of [16, 32], received [16, 24]'],
  ] as const)('%s %j', async (name, change, message) => {
    const refused = await refusal(await changed(name, change))
    expect(refused).toMatch(/^ERR_CHECKPOINT FOLDER: /)
    expect(refused).toContain(message)
  })

  it('rows longer than the positions that the weights know', async () => {
    expect(await refusal(golden('bert'), { maxLength: 23 })).toContain('ERR_CONFIG maxLength: expected at most 22')
    expect(await refusal(golden('bert'), { condition: 'draft', maxLength: 11 })).toContain('expected at most 10')
  })

  it('options that the weights decide', async () => {
    expect(await refusal(golden('bert'), { width: 32 })).toContain('ERR_CONFIG width: unknown key')
  })
})
