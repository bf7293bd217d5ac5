// The autoregressive baseline: against Hugging Face transformers (test/golden/baselines/make.py), against itself without
// a cache, and trained.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { applyEdits, evaluateModel, GptModel, Trainer, trainCharacterTokenizer } from '../../src/index.js'
import { sessionKey } from '../../src/openModel.js'
import { packRows, rowRange } from '../../src/rows.js'
import { worstError } from './golden.js'

const path = (name: string) => fileURLToPath(new URL(`../golden/${name}`, import.meta.url))
const row = z.array(z.int()).transform((ids) => Int32Array.from(ids))
const golden = z.object({
  rows: z.array(row),
  logits: z.array(z.array(z.number())),
  prompts: z.array(row),
  answers: z.array(row),
})
const columns = 17

let scratch = ''
let model: GptModel
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'merge-lm-gpt-'))
  model = await GptModel.fromPretrained(path('import/llama'), { threads: 2 })
})
afterAll(async () => {
  await model.dispose()
  await rm(scratch, { recursive: true, force: true })
})

const readGolden = async () => golden.parse(JSON.parse(await readFile(path('baselines/llama.json'), 'utf8')))
const promptsOf = (rows: readonly Int32Array[]) => rows.map((tokens) => ({ tokens }))

// Softmax of the last position.
function chanceOf(token: number, logits: readonly number[]): number {
  const weights = logits.slice(-columns).map(Math.exp)
  return (weights[token] ?? 0) / weights.reduce((a, b) => a + b)
}

async function logitsOf(rows: readonly Int32Array[]): Promise<number[]> {
  const { logits } = await model[sessionKey].inspect(packRows(rows), ['logits'])
  const width = logits?.shape[1] ?? 0
  return [...(logits?.values ?? [])].filter((_, i) => i % width < columns)
}

describe('against transformers', () => {
  it('has its logits at every position', async () => {
    const { rows, logits } = await readGolden()
    const error = worstError(await logitsOf(rows), logits.flat())
    console.log(`worst error ${error.toExponential(1)}`)
    expect(error).toBeLessThanOrEqual(1e-4)
  })

  it('writes its greedy tokens, alone and in any batch, however many a call', async () => {
    const { prompts, answers } = await readGolden()
    const options = { maxNewTokens: 20, stopAtEndOfText: false }
    for (const more of [{}, { tokensPerCall: 1 }, { tokensPerCall: 7, batchRows: 3 }]) {
      const written = await model.generate(promptsOf(prompts), { ...options, ...more })
      expect(written.map(({ tokens }) => tokens)).toEqual(answers)
    }
    for (const [i, tokens] of prompts.entries()) {
      expect((await model.generate({ tokens }, options)).tokens).toEqual(answers[i])
    }
  })
})

describe('generate', () => {
  it('writes with the cache what it would write without', async () => {
    const { prompts } = await readGolden()
    const tokens = [...(prompts[2] ?? [])]
    const { tokens: cached } = await model.generate({ tokens: Int32Array.from(tokens) }, { stopAtEndOfText: false })
    expect(cached.length).toBe(model.config.maxLength - tokens.length)
    for (const token of cached) {
      const last = (await logitsOf([Int32Array.from(tokens)])).slice(-columns)
      expect(last.indexOf(Math.max(...last))).toBe(token)
      tokens.push(token)
    }
    expect(await model.memory()).toMatchObject({ cacheBytes: 0 })
  })

  it('samples a row alike alone and in any batch; seed and key change it, topK 1 is greedy', async () => {
    const { prompts } = await readGolden()
    const options = { maxNewTokens: 15, temperature: 1, stopAtEndOfText: false }
    const together = await model.generate(promptsOf(prompts), options)
    for (const [i, tokens] of prompts.entries()) {
      const { probability, ...alone } = await model.generate({ tokens }, { ...options, tokensPerCall: 4 })
      expect(together[i]).toMatchObject(alone)
      // Probabilities differ by rounding alone.
      expect(worstError([...probability], [...(together[i]?.probability ?? [])])).toBeLessThan(1e-4)
    }
    const tokens = prompts[0] ?? new Int32Array(0)
    const texts = new Set<string>()
    for (const key of [1, 2]) {
      for (const seed of [1, 2]) texts.add(String((await model.generate({ tokens, key }, { ...options, seed })).tokens))
    }
    expect(texts.size).toBe(4)
    const greedy = await model.generate({ tokens }, { ...options, temperature: 0 })
    expect(greedy.probability[0]).toBeCloseTo(chanceOf(greedy.tokens[0] ?? -1, await logitsOf([tokens])), 5)
    expect(await model.generate({ tokens }, { ...options, topK: 1 })).toEqual(greedy)
    expect(await model.generate({ tokens }, { ...options, topP: 1e-9 })).toEqual(greedy)
  })

  it('draws as often as the probabilities say', async () => {
    const tokens = Int32Array.of(1, 5)
    const logits = (await logitsOf([tokens])).slice(-columns)
    const top = Math.max(...logits)
    const weights = logits.map((logit) => Math.exp((logit - top) / 2))
    const sum = weights.reduce((a, b) => a + b)
    const prompts = Array.from({ length: 2000 }, (_, key) => ({ tokens, key }))
    const drawn = await model.generate(prompts, {
      maxNewTokens: 1,
      temperature: 2,
      stopAtEndOfText: false,
      batchRows: 500,
    })
    const counts = weights.map((_, id) => drawn.filter((answer) => answer.tokens[0] === id).length)
    // Chi-squared with 16 degrees of freedom: above 39.3 once in 1000.
    const chi = counts.reduce((total, count, id) => {
      const wanted = (2000 * (weights[id] ?? 0)) / sum
      return total + (count - wanted) ** 2 / wanted
    }, 0)
    expect(chi).toBeLessThan(39.3)
  })

  it('stops by signal, refuses what has no room, and works after both', async () => {
    const signal = AbortSignal.abort()
    await expect(model.generate('cat', { signal })).rejects.toThrow(/abort/i)
    const long = { tokens: new Int32Array(30).fill(3) }
    await expect(model.generate(long, { maxNewTokens: 3 })).rejects.toMatchObject({ code: 'ERR_INPUT' })
    await expect(model.generate({ tokens: new Int32Array(0) })).rejects.toMatchObject({ code: 'ERR_INPUT' })
    expect((await model.generate('cat', { maxNewTokens: 2 })).tokens.length).toBeLessThanOrEqual(2)
  })
})

describe('training', () => {
  const letters = 'abcdefghijklmnop'
  const examples = Array.from({ length: 64 }, (_, i) => {
    const source =
      [...'wxyz'].map((_, j) => letters[(i * 7 + j * 5 + ((i * j) >> 2)) % 16] ?? '').join('') + letters[i % 16]
    return { source, target: [...source].reverse().join('') + letters[(i * 3) % 16] }
  })
  const tokenizer = trainCharacterTokenizer([letters], { caseShift: false })
  const shape = { layers: 2, width: 64, heads: 4, maxLength: 32, tokenizer, seed: 1 }

  it('has the loss of its logits, over learned tokens alone', async () => {
    await using fresh = await GptModel.create(shape)
    const wholes = [Int32Array.of(1, 6, 7, 4, 8, 9, 2), Int32Array.of(1, 9, 2)]
    const learned = [wholes[0]?.slice(4) ?? wholes[0], wholes[1]?.slice(1)].filter((rows) => rows !== undefined)
    const step = { seed: 0, step: 0, accumulation: 2 }
    const report = await fresh[sessionKey].evaluate(step, packRows(learned), packRows(wholes))
    const { logits } = await fresh[sessionKey].inspect(packRows(wholes), ['logits'])
    const [, vocabulary = 0] = logits?.shape ?? []
    const packed = packRows(wholes)
    const losses = wholes.flatMap((whole, r) => {
      const [begin] = rowRange(packed, r)
      const first = whole.length - (learned[r]?.length ?? 0)
      return Array.from(whole.slice(first), (token, i) => {
        const at = (begin + first + i - 1) * vocabulary
        const values = [...(logits?.values.subarray(at, at + vocabulary) ?? [])]
        return Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0)) - (values[token] ?? 0)
      })
    })
    expect(losses.length).toBe(5)
    expect(report.token).toBeCloseTo(losses.reduce((a, b) => a + b) / 5, 4)
  })

  it('learns 64 rows by heart, and comes back as it was saved', async () => {
    await using student = await GptModel.create(shape)
    const trainer = new Trainer(student, { steps: 220, batchRows: 64, learningRate: 4e-3, clip: 1 })
    let last = Number.POSITIVE_INFINITY
    for await (const report of trainer.run(examples)) last = report.terms.token
    const prompts = examples.map(({ source }) => ({ source }))
    const answers = await student.generate(prompts)
    const right = answers.filter(({ text, stop }, i) => text === examples[i]?.target && stop === 'endOfText').length
    console.log(`loss ${last.toFixed(4)}, ${right} of 64 rows exact`)
    expect(right).toBeGreaterThanOrEqual(63)
    // The same as an editor, measured as every editing model is; row alone as in the batch.
    const results = await student.edit(examples.map(({ source }) => source))
    expect(results.map(({ text }) => text)).toEqual(answers.map(({ text }) => text))
    expect((await student.edit(examples[3]?.source ?? '')).text).toBe(results[3]?.text)
    for (const [i, { text, edits, stopReason, confidence }] of results.entries()) {
      expect(applyEdits(examples[i]?.source ?? '', edits)).toBe(text)
      expect(stopReason).toBe('ended')
      expect(confidence).toBeGreaterThan(0.5)
    }
    const found = await evaluateModel(student, examples, { batchRows: 16 })
    expect(found.exact.value).toBe(right / 64)
    expect(found).toMatchObject({ leftOut: 0, meanRounds: { value: 1 }, deletion: { tokens: 0 } })
    expect(found.tokenEdits.f05.value).toBeGreaterThan(0.98)
    // A target of 6 letters and its end.
    expect(found.meanEncoderPasses.value).toBeCloseTo(7, 1)
    const folder = join(scratch, 'student')
    await student.save(folder)
    await using loaded = await GptModel.load(folder)
    expect((await loaded.generate(prompts)).map(({ tokens }) => tokens)).toEqual(answers.map(({ tokens }) => tokens))
    const { text = '' } = answers[0] ?? {}
    const stopped = await loaded.generate(prompts[0] ?? '', { stop: [text.slice(2, 4)], tokensPerCall: 1 })
    expect(stopped).toMatchObject({ text: text.slice(0, text.indexOf(text.slice(2, 4))), stop: 'text' })
  })
})
