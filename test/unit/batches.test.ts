// Batches: a pure function of data, seed and position; every row once an epoch; rows of like length together.
import { describe, expect, it } from 'vitest'
import { gptRecipe, gptTask } from '../../src/baselines/gptTask.js'
import { modelConfig, recipe } from '../../src/config.js'
import { mergeTask } from '../../src/merge/mergeTask.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { keyboardSlips } from '../../src/text/corruption.js'
import { type Batch, type BatchContext, batches, type Dataset, prefetched } from '../../src/training/batches.js'
import { stretchesDuring } from './stretches.js'

const tokenizer = byteTokenizer()
const texts = Array.from({ length: 50 }, (_, i) => `${'ab '.repeat(i % 9)}${i}`)
const context = (options: object = {}, more: Partial<Omit<BatchContext, 'task'>> = {}): BatchContext => {
  const settings = { batchRows: 8, poolRows: 30, ...options }
  const parsed = recipe.parse(settings)
  const model = {
    ...modelConfig.parse({}),
    pretrained: false,
    sep: tokenizer.special.sep,
    maxLength: more.maxLength ?? 64,
  }
  return { tokenizer, maxLength: 64, recipe: parsed, task: mergeTask(parsed, model), ...more }
}

async function take(count: number, dataset: Dataset, from: BatchContext): Promise<Batch[]> {
  const taken: Batch[] = []
  for await (const batch of prefetched(batches(dataset, from))) {
    taken.push(batch)
    if (taken.length === count) break
  }
  return taken
}

const targetsOf = ({ targets }: Batch) =>
  Array.from({ length: targets.offsets.length - 1 }, (_, r) =>
    tokenizer.decode(targets.tokens.subarray(targets.offsets[r], targets.offsets[r + 1])),
  )

describe('batches', () => {
  it('gives every row once an epoch, in another order the next time', async () => {
    // Pools of 30 and 20 rows: 4 and 3 batches.
    const taken = await take(14, texts, context())
    expect(taken.map((batch) => batch.epoch)).toEqual([...new Array(7).fill(0), ...new Array(7).fill(1)])
    const first = taken.slice(0, 7).flatMap(targetsOf)
    const second = taken.slice(7).flatMap(targetsOf)
    expect([...first].sort()).toEqual([...texts].sort())
    expect([...second].sort()).toEqual([...texts].sort())
    expect(first).not.toEqual(second)
  })

  it('goes on from every position as if it had never stopped', async () => {
    const options = context({}, { corruption: keyboardSlips(0.2) })
    const whole = await take(20, texts, options)
    for (const [index, { next }] of whole.entries()) {
      const [resumed] = await take(1, texts, { ...options, start: next })
      if (index + 1 < whole.length) expect({ ...resumed, dropped: 0 }).toEqual({ ...whole[index + 1], dropped: 0 })
    }
  })

  it('another seed gives other batches, the same seed the same', async () => {
    const [a, b, c] = await Promise.all([0, 0, 1].map((seed) => take(7, texts, context({ seed }))))
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
  })

  it('brings rows of like length together', async () => {
    const taken = await take(4, texts, context())
    for (const batch of taken) {
      const lengths = targetsOf(batch).map((text) => text.length)
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(12)
    }
  })

  it('cuts a batch at batchTokens', async () => {
    const taken = await take(20, texts, context({ batchTokens: 40 }))
    for (const { targets } of taken) expect(targets.tokens.length <= 40 || targets.offsets.length === 2).toBe(true)
  })

  it('corrupts anew in every epoch', async () => {
    const only = { drafts: { task: 1, noised: 0, subsequence: 0, empty: 0, fragment: 0, finished: 0 } }
    const data = ['the same sentence again']
    const taken = await take(3, data, context(only, { corruption: keyboardSlips(0.5) }))
    expect(new Set(taken.map(({ drafts }) => tokenizer.decode(drafts.tokens))).size).toBe(3)
  })

  it('refuses a row that is too long, and says which', async () => {
    const message =
      /expected rows of at most 64 tokens \(maxLength\), received 70 in row \d+ of epoch 0: "x+"; recipe.tooLong: "drop"/
    await expect(take(1, [...texts, 'x'.repeat(70)], context())).rejects.toMatchObject({
      code: 'ERR_INPUT',
      message: expect.stringMatching(message),
    })
  })

  it('leaves it out and counts it, if told so', async () => {
    const taken = await take(7, [...texts, 'x'.repeat(70)], context({ tooLong: 'drop', poolRows: 100 }))
    expect(taken.map((batch) => batch.dropped)).toEqual(new Array(7).fill(1))
    expect(taken.flatMap(targetsOf)).toHaveLength(50)
  })

  it.each([
    ['nothing', [], 'data: expected at least one example in epoch 0, received none'],
    [
      'only rows that are too long',
      ['x'.repeat(70)],
      'data: expected at least one example in epoch 0, received only 1 that are too long',
    ],
  ])('refuses %s', async (_, data, message) => {
    await expect(take(1, data, context({ tooLong: 'drop' }))).rejects.toMatchObject({ code: 'ERR_INPUT', message })
  })

  it('gives conditions to a task that reads them, and refuses them for one that does not', async () => {
    const data = [{ target: 'ab', condition: 'xyz' }, { target: 'abc' }]
    const merge = context()
    const [batch] = await take(1, data, merge)
    const lengths = [...(batch?.conditions?.offsets ?? [])]
    expect(lengths).toEqual([0, 3, 3])
    expect(tokenizer.decode(batch?.conditions?.tokens ?? new Int32Array())).toBe('xyz')
    const gpt = { ...merge, task: gptTask(gptRecipe.parse({}), tokenizer, tokenizer.special.eos) }
    await expect(take(1, data.slice(0, 1), gpt)).rejects.toMatchObject({
      code: 'ERR_INPUT',
      message: 'data: condition: expected none, as this kind of model reads none, received one in row 0 of epoch 0',
    })
  })

  it('refuses a stream that can be read only once', async () => {
    async function* once() {
      yield 'a'
    }
    await expect(take(2, once(), context())).rejects.toMatchObject({
      message: 'data: expected at least one example in epoch 1, received none the second time',
    })
  })

  it('keeps the event loop free', async () => {
    const many = Array.from({ length: 30_000 }, (_, i) => `sentence number ${i} of a rather long data set`)
    const stretches = await stretchesDuring(() => take(3, many, context({ poolRows: 16_384, batchRows: 48 })))
    expect(stretches.at(-1)).toBeLessThan(100)
  })
})
