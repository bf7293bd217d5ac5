// Generation by blocks: the loop against one that is written out without a cache, rows in any batch, what the confidence
// head decides, what stays locked, and what the cache leaves behind.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sessionKey } from '../../src/openModel.js'
import { randomFrom } from '../../src/random.js'
import type { Answer } from '../../src/remedi/answer.js'
import type { DenoisingStep } from '../../src/remedi/generate.js'
import type { GenerateOptions } from '../../src/remedi/generateConfig.js'
import { RemediModel } from '../../src/remedi/model.js'
import type { RemediPrompt } from '../../src/remedi/prompt.js'
import { packRows } from '../../src/rows.js'
import { checkpointFolder, floats, type HostTensor } from './remediGolden.js'

const mask = 95
const vocabulary = 96

// Sharper than as made: a random head likes all tokens alike, and ties would be decided by rounding.
const sharpened = (factor: number) => (tensors: Map<string, HostTensor>) =>
  scaled(scaled(tensors, 'model.transformer.ff_out.weight', 6), 'model.linear_confidence.weight', factor)

function scaled(tensors: Map<string, HostTensor>, name: string, factor: number): Map<string, HostTensor> {
  const tensor = tensors.get(name)
  if (tensor === undefined) throw new Error(`no ${name}`)
  const bytes = Buffer.from(Float32Array.from(floats(tensor), (value) => factor * value).buffer)
  return new Map([...tensors, [name, { ...tensor, bytes }]])
}

let checkpoint: Awaited<ReturnType<typeof checkpointFolder>>
let model: RemediModel

beforeAll(async () => {
  checkpoint = await checkpointFolder('depth12-gqa', (config) => ({ ...config, eos_token_id: 94 }), sharpened(20))
  model = await RemediModel.fromPretrained(checkpoint.path, { threads: 2, blockLength: 8 })
})
afterAll(async () => {
  await model.dispose()
  await checkpoint[Symbol.asyncDispose]()
})

const promptOf = (seed: number): Int32Array => {
  const random = randomFrom(seed, 0, 0, 'prompts')
  return Int32Array.from({ length: [5, 1, 12, 3, 20, 0, 8][seed % 7] ?? 4 }, () => random.integer(90))
}

async function stepsOf(prompt: RemediPrompt, options: GenerateOptions, of = model): Promise<DenoisingStep[]> {
  const steps: DenoisingStep[] = []
  for await (const step of of.generate(prompt, options)) steps.push(step)
  return steps
}

const tokensOf = (answers: readonly Answer[]): number[][] => answers.map(({ tokens }) => [...tokens])

/** A block of section 2 written out: no cache, no batch, every step a pass over the whole row. */
async function slowly(prompt: Int32Array, steps: number): Promise<number[]> {
  let x = new Array<number>(8).fill(mask)
  for (let n = 1; n <= steps; n++) {
    const { logits, confidence } = await model[sessionKey].inspectBehind(
      packRows([prompt]),
      packRows([Int32Array.from(x)]),
      'whole',
      ['logits', 'confidence'],
    )
    const h = confidence?.values ?? new Float32Array()
    const candidates = x.map((token, place) =>
      token === mask ? best((logits?.values ?? new Float32Array()).subarray(place * vocabulary)) : token,
    )
    const order = x.map((_, place) => place).sort((a, b) => (h[b] ?? 0) - (h[a] ?? 0) || a - b)
    const base = Math.floor(8 / steps)
    const kept = new Set(order.slice(0, base * n + Math.max(0, n - (steps - (8 - base * steps)))))
    x = candidates.map((token, place) => (kept.has(place) ? token : mask))
  }
  const end = x.indexOf(94)
  return end >= 0 ? x.slice(0, end) : x
}

function best(logits: Float32Array): number {
  let found = 0
  for (let id = 0; id < vocabulary; id++) {
    if (id !== mask && (logits[id] ?? 0) > (logits[found] ?? 0)) found = id
  }
  return found
}

describe('the loop', () => {
  it.each([1, 3, 4, 8, 20])('is the algorithm written out, %i steps', async (steps) => {
    for (const seed of [0, 1, 2, 4]) {
      const prompt = promptOf(seed)
      const { tokens } = await model.complete({ tokens: prompt }, { steps, maxNewTokens: 8 })
      expect([...tokens], `prompt ${seed}`).toEqual(await slowly(prompt, Math.min(steps, 8)))
    }
  })

  it('yields what each step did', async () => {
    const steps = await stepsOf({ tokens: promptOf(2) }, { steps: 4, maxNewTokens: 24, stopAtEndOfText: false })
    expect(steps.map(({ block, step }) => [block, step])).toEqual(
      [0, 1, 2].flatMap((block) => [1, 2, 3, 4].map((step) => [block, step])),
    )
    let before: Int32Array = new Int32Array(0)
    for (const { start, tokens, unmasked, remasked, masked, confidence, step } of steps) {
      if (step === 1) before = Int32Array.from([...before, ...new Int32Array(8).fill(mask)])
      const changed = (test: (was: number, is: number) => boolean) =>
        [...tokens.keys()].filter((place) => test(before[place] ?? mask, tokens[place] ?? mask))
      expect([...unmasked]).toEqual(changed((was, is) => was === mask && is !== mask))
      expect([...remasked]).toEqual(changed((was, is) => was !== mask && is === mask))
      expect([...masked]).toEqual(changed((_, is) => is === mask))
      // What was finished stays as it was.
      expect([...tokens.subarray(0, start)]).toEqual([...before.subarray(0, start)])
      expect(confidence).toHaveLength(8)
      expect(tokens.length - masked.length).toBe(start + 2 * step)
      before = tokens
    }
    const result = steps.at(-1)?.result
    expect(result?.stopReason).toBe('length')
    expect(result?.steps).toBe(12)
    // The prompt, 12 steps, and two blocks that joined the cache.
    expect(result?.evaluations).toBe(15)
    expect(result?.remasks).toBe(steps.reduce((sum, { remasked }) => sum + remasked.length, 0))
    expect(result?.blocks).toHaveLength(3)
  })

  it('a later block depends on the prompt', async () => {
    const options: GenerateOptions = { steps: 4, maxNewTokens: 24, stopAtEndOfText: false }
    const one = await model.complete({ tokens: promptOf(4) }, options)
    const other = await model.complete({ tokens: promptOf(6) }, options)
    expect(one.tokens).toHaveLength(24)
    expect([...one.tokens.subarray(8)]).not.toEqual([...other.tokens.subarray(8)])
  })
})

const samplers: [string, GenerateOptions][] = [
  ['fixed', {}],
  ['fixed, sampled', { temperature: 1, orderTemperature: 1, topK: 20, topP: 0.9 }],
  ['threshold', { sampler: 'threshold', fillThreshold: 0.6, remaskThreshold: 0.3 }],
  ['llada', { sampler: 'llada' }],
  ['remdm', { sampler: 'remdm', steps: 12, temperature: 0.5 }],
  ['corrections', { extraCorrectionSteps: 3, remaskThreshold: 0.5 }],
]

describe.each(samplers)('rows of the sampler %s', (_, options) => {
  const settings: GenerateOptions = { steps: 5, maxNewTokens: 20, ...options }
  const prompts = Array.from({ length: 32 }, (_, seed) => ({ tokens: promptOf(seed) }))
  let alone: number[][]

  beforeAll(async () => {
    const answers: Answer[] = []
    for (const prompt of prompts) answers.push(await model.complete(prompt, settings))
    alone = tokensOf(answers)
  })

  it.each([1, 7, 32])('have the same tokens at batch %i, with ragged prompts', async (batchRows) => {
    expect(tokensOf(await model.complete(prompts, { ...settings, batchRows }))).toEqual(alone)
  })

  it('leave no mask behind, and end at their end of text', async () => {
    expect(alone.flat()).not.toContain(mask)
    expect(alone.flat()).not.toContain(94)
    expect(new Set(alone.map(String)).size).toBeGreaterThan(5)
  })
})

describe('the confidence head', () => {
  it('decides with source ups, and is never asked with source probability', async () => {
    await using other = await checkpointFolder(
      'depth12-gqa',
      (config) => ({ ...config, eos_token_id: 94 }),
      sharpened(-20),
    )
    await using turned = await RemediModel.fromPretrained(other.path, { blockLength: 8 })
    const prompts = Array.from({ length: 8 }, (_, seed) => ({ tokens: promptOf(seed) }))
    const both = async (options: GenerateOptions) =>
      Promise.all(
        [model, turned].map(async (of) =>
          tokensOf(await of.complete(prompts, { steps: 4, maxNewTokens: 16, ...options })),
        ),
      )
    const [ups, upsTurned] = await both({})
    expect(upsTurned).not.toEqual(ups)
    for (const confidenceSource of ['probability', 'logit', 'margin', 'entropy', 'random'] as const) {
      const [plain, plainTurned] = await both({ confidenceSource })
      expect(plainTurned, confidenceSource).toEqual(plain)
      expect(plain, confidenceSource).not.toEqual(ups)
    }
  })
})

describe('what is given', () => {
  const answer = Int32Array.from([mask, 7, mask, mask, 9, mask, mask, 11, mask, mask, 13, mask])

  it('stays where it is locked', async () => {
    for (const options of [
      {},
      { sampler: 'threshold', remaskThreshold: 1, fillThreshold: 1 },
      { sampler: 'remdm', remdm: { eta: 1 } },
    ] as const) {
      for (const step of await stepsOf(
        { tokens: promptOf(0), answer },
        { steps: 4, stopAtEndOfText: false, ...options },
      )) {
        const wanted = [1, 4, 7, 10].filter((place) => place < step.tokens.length)
        expect(wanted.map((place) => step.tokens[place])).toEqual(wanted.map((place) => answer[place]))
        if (step.result !== undefined) expect(step.result.tokens).toHaveLength(12)
      }
    }
  })

  it('may be remasked where it is not', async () => {
    const draft = { tokens: promptOf(0), answer: Int32Array.from([7, 7, 7, 7, 7, 7, 7, 7]), locked: [[0, 2]] as const }
    const steps = await stepsOf(draft, {
      sampler: 'threshold',
      remaskThreshold: 0.999,
      fillThreshold: 0.5,
      steps: 4,
      stopAtEndOfText: false,
    })
    expect(steps.flatMap(({ remasked }) => [...remasked])).toContain(5)
    expect([...(steps.at(-1)?.tokens.subarray(0, 2) ?? [])]).toEqual([7, 7])
    // Without corrections, a whole draft is an answer.
    const [only, ...more] = await stepsOf(draft, { steps: 4 })
    expect(more).toEqual([])
    expect(only?.result?.evaluations).toBe(1)
  })

  it('between prefix and suffix, the hole sees both', async () => {
    const hole = (suffix: string) =>
      model.complete({ prefix: '5 6 7', suffix, length: 12 }, { steps: 4, stopAtEndOfText: false })
    const [one, other] = [await hole('8 9 10 11'), await hole('50 60 70 80')]
    expect(one.text.startsWith('5 6 7')).toBe(true)
    expect(one.text.endsWith('8 9 10 11')).toBe(true)
    expect(one.tokens).toHaveLength(12)
    expect([...one.tokens]).not.toEqual([...other.tokens])
  })

  it('too much of it is refused', async () => {
    await expect(model.complete({ tokens: new Int32Array(1020) }, { maxNewTokens: 8 })).rejects.toThrow('at most 1024')
    await expect(model.complete({ tokens: Int32Array.of(96) })).rejects.toThrow(
      'tokens: expected ids 0..95, received 96',
    )
    await expect(model.complete({ messages: [{ role: 'user', content: 'a' }] })).rejects.toThrow('chat template')
  })
})

describe('the rules of correction', () => {
  const remasksOf = async (options: GenerateOptions) => {
    const prompts = Array.from({ length: 6 }, (_, seed) => ({ tokens: promptOf(seed) }))
    const answers = await model.complete(prompts, { steps: 4, maxNewTokens: 16, stopAtEndOfText: false, ...options })
    return answers.reduce((sum, { remasks }) => sum + remasks, 0)
  }

  it('maxRemasksPerPosition: 0 lets nothing be remasked', async () => {
    expect(await remasksOf({})).toBeGreaterThan(0)
    expect(await remasksOf({ maxRemasksPerPosition: 0 })).toBe(0)
    expect(await remasksOf({ sampler: 'llada' })).toBe(0)
  })

  it('extra steps correct, and stop when there is nothing to doubt', async () => {
    const run = (options: GenerateOptions) =>
      model.complete({ tokens: promptOf(3) }, { steps: 2, maxNewTokens: 8, stopAtEndOfText: false, ...options })
    expect((await run({})).steps).toBe(2)
    expect((await run({ extraCorrectionSteps: 6, remaskThreshold: 0 })).steps).toBe(3)
    const doubting = await run({ extraCorrectionSteps: 6, remaskThreshold: 1, detectCycles: false })
    expect(doubting.steps).toBe(8)
    expect(doubting.remasks).toBeGreaterThan(8)
    // Everything is remasked and filled again alike: a cycle.
    expect((await run({ extraCorrectionSteps: 6, remaskThreshold: 1 })).steps).toBeLessThan(8)
  })
})

describe('the cache', () => {
  const cacheBytes = async () => (await model.memory()).cacheBytes
  const prompt = { tokens: promptOf(4) }

  it('is given back at the end, on break and on abort', async () => {
    await model.complete([prompt, prompt], { steps: 2, maxNewTokens: 16, stopAtEndOfText: false })
    expect(await cacheBytes()).toBe(0)
    for await (const _ of model.generate(prompt, { steps: 2, maxNewTokens: 32 })) break
    expect(await cacheBytes()).toBe(0)
    const abort = new AbortController()
    const run = async () => {
      for await (const _ of model.generate(prompt, { steps: 4, maxNewTokens: 64, signal: abort.signal })) abort.abort()
    }
    await expect(run()).rejects.toThrow('aborted')
    expect(await cacheBytes()).toBe(0)
  })

  it('is there meanwhile', async () => {
    const run = model.generate(prompt, { steps: 2, maxNewTokens: 32, stopAtEndOfText: false })
    await run.next()
    expect(await cacheBytes()).toBeGreaterThan(0)
    await run.return()
    expect(await cacheBytes()).toBe(0)
  })

  it('a disposed model ends the loop by name', async () => {
    await using own = await RemediModel.fromPretrained(checkpoint.path, { blockLength: 8 })
    const run = own.generate(prompt, { steps: 8 })
    await run.next()
    await own.dispose()
    await expect(run.next()).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
  })
})
