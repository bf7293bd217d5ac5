// The mask-predict baseline: against a PyTorch twin (test/golden/baselines/maskgit.py), rounds by their schedule, a row alone and in any batch, trained on pairs and without sources.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { MaskGitFillOptions } from '../../src/index.js'
import {
  applyEdits,
  evaluateModel,
  MaskGitModel,
  masksAfter,
  Trainer,
  trainCharacterTokenizer,
} from '../../src/index.js'
import { loadNative } from '../../src/native.js'
import { sessionKey } from '../../src/openModel.js'
import { packRows } from '../../src/rows.js'
import { worstError } from './golden.js'

const letters = 'abcdefghijklmnop'
const tokenizer = trainCharacterTokenizer([letters], { caseShift: false })
const { mask, bos, sep } = tokenizer.special
const shape = { layers: 2, width: 64, heads: 4, maxLength: 24, lengthRange: 6, tokenizer, seed: 1 }

let scratch = ''
let model: MaskGitModel
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'merge-lm-maskgit-'))
  model = await MaskGitModel.create({ ...shape, threads: 1 })
})
afterAll(async () => {
  await model.dispose()
  await rm(scratch, { recursive: true, force: true })
})

const texts = ['abcabc', 'p', 'abcdefghijklmnop', 'ffgg', 'onm']

async function historyOf(text: string, options: MaskGitFillOptions) {
  const rounds = []
  for await (const round of model.refine(text, options)) rounds.push(round)
  return rounds
}

describe('against a float64 twin', () => {
  const row = z.array(z.int()).transform((ids) => Int32Array.from(ids))
  const numbers = z.array(z.number())
  const golden = z.strictObject({
    ...{ config: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])) },
    ...{ sources: z.array(row), targets: z.array(row), drafts: z.array(row), step: z.record(z.string(), z.number()) },
    ...{ length: numbers, logits: numbers, token: z.number(), lengthLoss: z.number(), totals: numbers },
  })
  const path = (name: string) => fileURLToPath(new URL(`../golden/baselines/${name}`, import.meta.url))

  it('has its logits, its lengths, its losses, and those of its next steps', async () => {
    const twin = golden.parse(JSON.parse(await readFile(path('maskgit.json'), 'utf8')))
    const session = await (await loadNative()).open(twin.config)
    await session.load(path('maskgit.safetensors'), 'model')
    const [sources, drafts, targets] = [packRows(twin.sources), packRows(twin.drafts), packRows(twin.targets)]
    const errors: Record<string, number> = {}
    for (const way of ['cached', 'whole'] as const) {
      const { logits } = await session.inspectBehind(sources, drafts, way, ['logits'])
      errors[way] = worstError([...(logits?.values ?? [])], twin.logits)
    }
    const { length } = await session.inspect(sources, ['length'])
    errors.length = worstError([...(length?.values ?? [])], twin.length)
    const update = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clip: 0 }
    const totals: number[] = []
    for (const accumulation of [1, 2, 1]) {
      const step = { ...twin.step, ...update, seed: 0, step: totals.length, accumulation }
      const report = await session.evaluate(step, drafts, targets, sources)
      if (totals.length === 0) {
        errors.losses = worstError([report.token ?? 0, report.length ?? 0], [twin.token, twin.lengthLoss])
        expect(report.masks).toBe(8)
      }
      totals.push((await session.trainStep(step, drafts, targets, sources)).total ?? 0)
    }
    errors.steps = worstError(totals, twin.totals)
    await session.dispose()
    console.log(
      Object.entries(errors)
        .map(([name, error]) => `${name} ${error.toExponential(1)}`)
        .join(', '),
    )
    expect(Math.max(...Object.values(errors))).toBeLessThanOrEqual(1e-4)
  })
})

describe('rounds', () => {
  it.each([
    ['cosine', 'fresh'],
    ['linear', 'fresh'],
    ['linear', 'any'],
    ['cosine', 'any'],
  ] as const)('%s, %s: as many masks after each round as the formula says', async (schedule, remask) => {
    let changed = 0
    for (const maxRounds of [1, 3, 8]) {
      for (const text of texts) {
        const rounds = await historyOf(text, { schedule, remask, maxRounds })
        const length = rounds[0]?.tokens.length ?? 0
        expect(length).toBeGreaterThan(0)
        const masks = rounds.map(({ tokens }) => tokens.filter((token) => token === mask).length)
        const wanted: number[] = []
        for (let round = 1; round === 1 || (wanted.at(-1) ?? 0) > 0; round++) {
          const share =
            schedule === 'linear' ? (maxRounds - round) / maxRounds : Math.cos((Math.PI * round) / (2 * maxRounds))
          const free = remask === 'any' ? length : (wanted.at(-1) ?? length)
          wanted.push(Math.max(0, Math.min(free - 1, Math.floor(length * share + 1e-9))))
        }
        expect(masks).toEqual(wanted)
        expect(rounds.map(({ encoderPasses }) => encoderPasses)).toEqual(masks.map((_, i) => (i === 0 ? 2 : 1)))
        expect(rounds.map(({ stopReason }) => stopReason)).toEqual(
          masks.map((count) => (count > 0 ? undefined : 'ended')),
        )
        for (const [i, { tokens, confidence }] of rounds.entries()) {
          const before = rounds[i - 1]
          tokens.forEach((token, place) => {
            if (token === mask) expect(confidence[place]).toBe(0)
            if (
              before === undefined ||
              token === mask ||
              before.tokens[place] === mask ||
              before.tokens[place] === token
            )
              return
            changed++
          })
        }
      }
    }
    // What was settled may become a mask again, but never another token within one round.
    expect(changed).toBe(0)
  })

  it('of any: a settled token may become a mask again, of fresh ones it never does', async () => {
    const unsettled = async (remask: 'any' | 'fresh') => {
      let count = 0
      for (const text of texts) {
        const rounds = await historyOf(text, { remask, maxRounds: 8, schedule: 'linear' })
        for (const [i, { tokens }] of rounds.entries()) {
          const before = rounds[i - 1]?.tokens
          tokens.forEach((token, place) => {
            if (before !== undefined && before[place] !== mask && token === mask) count++
          })
        }
      }
      return count
    }
    expect(await unsettled('fresh')).toBe(0)
    expect(await unsettled('any')).toBeGreaterThan(0)
  })

  it('keeps the most confident: with no noise, no mask was surer than what this round settled', async () => {
    const source = packRows([Int32Array.from([bos, ...tokenizer.encode('abcdef'), sep])])
    const rounds = await historyOf('abcdef', { maxRounds: 4 })
    const length = rounds[0]?.tokens.length ?? 0
    const whole = packRows([new Int32Array(length).fill(mask)])
    const { logits } = await model[sessionKey].inspectBehind(source, whole, 'whole', ['logits'])
    const width = logits?.shape[1] ?? 0
    const banned = new Set(Object.values(tokenizer.special))
    const best = Array.from({ length }, (_, place) => {
      const row = [...(logits?.values.subarray(place * width, (place + 1) * width) ?? [])]
      const weights = row.map((logit, id) => (banned.has(id) ? 0 : Math.exp(logit)))
      const sum = weights.reduce((a, b) => a + b)
      const top = Math.max(...weights)
      return { token: weights.indexOf(top), probability: top / sum }
    })
    const first = rounds[0]
    const settled = best.filter((_, place) => first?.tokens[place] !== mask).map(({ probability }) => probability)
    const waiting = best.filter((_, place) => first?.tokens[place] === mask).map(({ probability }) => probability)
    expect(Math.min(...settled)).toBeGreaterThanOrEqual(Math.max(...waiting) - 1e-6)
    first?.tokens.forEach((token, place) => {
      if (token === mask) return
      expect(token).toBe(best[place]?.token)
      expect(first.confidence[place]).toBeCloseTo(best[place]?.probability ?? 0, 4)
    })
  })

  it('the formula of short rows: one place is settled in each round at least', () => {
    expect(masksAfter('cosine', { length: 1, free: 1, round: 1, rounds: 8 })).toBe(0)
    expect(masksAfter('cosine', { length: 3, free: 3, round: 1, rounds: 8 })).toBe(2)
    expect(masksAfter('linear', { length: 10, free: 10, round: 9, rounds: 10 })).toBe(1)
    expect(masksAfter('linear', { length: 10, free: 2, round: 10, rounds: 10 })).toBe(0)
  })
})

describe('a row', () => {
  it.each([
    [{}],
    [{ remask: 'any', schedule: 'linear', maxRounds: 5 }],
    [{ temperature: 1, orderTemperature: 4, seed: 5 }],
    [{ lengths: 3 }],
  ] satisfies [MaskGitFillOptions][])('is the same alone and in any batch: %j', async (options) => {
    const together = await model.edit(texts, options)
    const apart = await model.edit(texts, { ...options, batchRows: 2 })
    expect(apart.map(({ text }) => text)).toEqual(together.map(({ text }) => text))
    for (const [i, text] of texts.entries()) {
      const alone = await model.edit(text, options)
      expect(alone.text).toBe(together[i]?.text)
      expect(alone.rounds).toBe(together[i]?.rounds)
      expect(alone.confidence).toBeCloseTo(together[i]?.confidence ?? 0, 4)
    }
    expect((await model.memory()).cacheBytes).toBe(0)
  })

  it('of a cached source has the logits of a whole pass', async () => {
    const sources = packRows(texts.map((text) => Int32Array.from([bos, ...tokenizer.encode(text), sep])))
    const targets = packRows(
      texts.map((text, i) => tokenizer.encode(text).map((id, j) => (j % (i + 2) === 0 ? mask : id))),
    )
    const logits = async (way: 'cached' | 'whole') => [
      ...((await model[sessionKey].inspectBehind(sources, targets, way, ['logits'])).logits?.values ?? []),
    ]
    expect(worstError(await logits('cached'), await logits('whole'))).toBeLessThan(1e-5)
  })

  it('changes with seed and temperatures', async () => {
    const text = texts[2] ?? ''
    const written = new Set<string>()
    for (const seed of [1, 2]) written.add((await model.edit(text, { temperature: 1, seed })).text)
    written.add((await model.edit(text)).text)
    written.add((await model.edit(text, { orderTemperature: 50, seed: 3 })).text)
    expect(written.size).toBe(4)
    expect((await model.edit(text, { temperature: 1, topK: 1 })).text).toBe((await model.edit(text)).text)
  })

  it('refuses what it cannot do, and works after it', async () => {
    await expect(model.edit('a'.repeat(25))).rejects.toMatchObject({ code: 'ERR_INPUT', message: /at most 24 tokens/ })
    await expect(model.edit('a', { lengths: 9 })).rejects.toMatchObject({ code: 'ERR_CONFIG', message: /at most 7/ })
    await expect(model.edit('a', { maxRounds: 0 })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await expect(model.generate(25)).rejects.toMatchObject({ code: 'ERR_INPUT', message: /1\.\.24/ })
    await expect(model.edit('a', { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i)
    const options = { temperature: 0, topK: 0, topP: 1, seed: 0, vocabulary: tokenizer.vocabularySize }
    const row = {
      ...packRows([Int32Array.of(mask)]),
      generation: 77,
      slots: Int32Array.of(0),
      positions: Int32Array.of(1),
    }
    const one = (value: number) => Float64Array.of(value)
    const columns = { masks: one(0), key: one(0), draw: one(0), noise: one(0), confidence: one(0) }
    const denoise = (changed: object) =>
      model[sessionKey].denoise(options, { ...row, ...changed }, new Uint8Array(1), new Int32Array(0), columns)
    await expect(denoise({})).rejects.toMatchObject({ code: 'ERR_SHAPE', message: /sources that were read/ })
    await expect(denoise({ positions: Int32Array.of(0) })).rejects.toMatchObject({ code: 'ERR_INPUT' })
    expect((await model.edit('abc')).stopReason).toBe('ended')
  })
})

describe('training', () => {
  const examples = Array.from({ length: 64 }, (_, i) => {
    const source =
      [...'wxyz'].map((_, j) => letters[(i * 7 + j * 5 + ((i * j) >> 2)) % 16] ?? '').join('') + letters[i % 16]
    const target =
      [...source]
        .reverse()
        .join('')
        .slice(0, 3 + (i % 3)) + letters[(i * 3) % 16]
    return { source, target }
  })

  it('learns 64 rows by heart, and comes back as it was saved', async () => {
    await using student = await MaskGitModel.create(shape)
    const trainer = new Trainer(student, { steps: 400, batchRows: 64, learningRate: 4e-3, clip: 1, lengthWeight: 1 })
    let last = ''
    for await (const { terms, fillAccuracy, lengthAccuracy } of trainer.run(examples)) {
      last = `token ${terms.token.toFixed(3)}, length ${terms.length.toFixed(3)}, fills ${fillAccuracy.toFixed(3)}, lengths ${lengthAccuracy}`
    }
    const found = await evaluateModel(student, examples)
    console.log(`${last}; exact ${found.exact.value}, rounds ${found.meanRounds.value}`)
    expect(found.exact.value).toBeGreaterThanOrEqual(0.98)
    expect(found.tokenEdits.f05.value).toBeGreaterThan(0.98)
    expect(found.fillAccuracy.value).toBeGreaterThan(0.98)
    const results = await student.edit(examples.map(({ source }) => source))
    for (const [i, { text, edits }] of results.entries())
      expect(applyEdits(examples[i]?.source ?? '', edits)).toBe(text)
    // Other lengths are tried, and lose.
    const beams = await evaluateModel(student, examples, {
      lengths: 3,
      maxRounds: 10,
      remask: 'any',
      schedule: 'linear',
    })
    expect(beams.exact.value).toBeGreaterThanOrEqual(0.95)
    const folder = join(scratch, 'student')
    await student.save(folder)
    await using loaded = await MaskGitModel.load(folder)
    expect(await loaded.edit(examples.map(({ source }) => source))).toEqual(results)
  })

  it('learns texts without sources, and writes one of a given length', async () => {
    await using student = await MaskGitModel.create({ ...shape, width: 32 })
    const alphabet = Array.from({ length: 10 }, (_, i) => ({ target: letters.slice(i % 5, (i % 5) + 4 + (i % 3)) }))
    const trainer = new Trainer(student, { steps: 500, batchRows: 10, learningRate: 4e-3, schedule: 'cosine' })
    for await (const { terms } of trainer.run(alphabet)) expect(terms.length).toBe(0)
    const texts = await Promise.all([4, 5, 6].map((length) => student.generate(length, { maxRounds: 6 })))
    expect(texts.map(({ text }) => text.length)).toEqual([4, 5, 6])
    for (const { text, edits } of texts) {
      expect(letters).toContain(text)
      expect(applyEdits('', edits)).toBe(text)
    }
  })
})
