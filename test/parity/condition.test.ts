// Conditions: a text before the row decides what the row becomes, and never changes itself (H18).
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { evaluateModel, MergeModel, openDataset, Trainer, trainCharacterTokenizer } from '../../src/index.js'

const conditions = ['abc', 'def', 'ghi']
const endings = ['red', 'green', 'blue']
// The same draft becomes another text behind each condition.
const examples = ['x', 'y', 'z'].flatMap((start) =>
  conditions.map((condition, i) => ({ condition, source: `${start}?`, target: `${start}${endings[i] ?? ''}` })),
)
const tokenizer = trainCharacterTokenizer(
  examples.flatMap(({ condition, source, target }) => [condition, source, target]),
)

let scratch = ''
const models: MergeModel[] = []
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'merge-lm-condition-'))
  for (const condition of ['carry', 'draft'] as const) {
    const shape = { layers: 2, width: 48, heads: 2, maxLength: 16, maxInsert: 6, condition }
    const model = await MergeModel.create({ ...shape, tokenizer, threads: 2 })
    models.push(model)
    const recipe = { steps: 150, batchRows: 9, learningRate: 3e-3, drafts: { task: 1 }, ownDeletion: 0, ownFill: 0 }
    for await (const _ of new Trainer(model, recipe).run(examples));
  }
})
afterAll(async () => {
  for (const model of models) await model.dispose()
  await rm(scratch, { recursive: true, force: true })
})

describe('a condition', () => {
  it('decides what a draft becomes, one for all or one for each', async () => {
    for (const model of models) {
      const drafts = examples.map(({ source, condition }) => ({ text: source, condition }))
      expect((await model.edit(drafts)).map(({ text }) => text)).toEqual(examples.map(({ target }) => target))
      for (const { condition, source, target } of examples) {
        const result = await model.edit(source, { condition })
        expect(result.text).toBe(target)
        // Offsets are those of the draft alone.
        for (const { end } of result.edits) expect(end).toBeLessThanOrEqual(source.length)
      }
    }
  })

  it('of an example is measured with it', async () => {
    for (const model of models) {
      const behind = await evaluateModel(model, examples)
      const without = await evaluateModel(
        model,
        examples.map(({ source, target }) => ({ source, target })),
      )
      expect(behind.exact.value).toBe(1)
      expect(without.exact.value).toBeLessThanOrEqual(1 / 3)
    }
  })

  it('is a column of a data set', async () => {
    const file = join(scratch, 'pairs.jsonl')
    await writeFile(file, examples.map((example) => JSON.stringify(example)).join('\n'))
    expect(await openDataset({ file })).toEqual(examples)
    const renamed = examples.map(({ condition, ...rest }) => JSON.stringify({ ...rest, about: condition }))
    await writeFile(file, renamed.join('\n'))
    expect(await openDataset({ file, conditionColumn: 'about' })).toEqual(examples)
  })

  it('that is too long, or no text, is refused', async () => {
    for (const model of models) {
      await expect(model.edit('x?', { condition: 'a'.repeat(17) })).rejects.toMatchObject({
        code: 'ERR_INPUT',
        message: 'condition: expected at most 16 tokens (maxLength), received 17',
      })
      // @ts-expect-error a number is no text
      await expect(model.edit('x?', { condition: 7 })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    }
  })
})
