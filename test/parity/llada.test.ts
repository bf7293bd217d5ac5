// The LLaDA baseline: a RemeDi model whose policy stream never learns is plain masked diffusion. It writes targets behind
// their sources and is measured as every editing model.
import { expect, it } from 'vitest'
import {
  evaluateModel,
  RemediModel,
  type RemediOptions,
  Trainer,
  trainCharacterTokenizer,
  warmupThenCosine,
} from '../../src/index.js'

const letters = 'abcdefghijklmnop'
const tokenizer = trainCharacterTokenizer([letters], { caseShift: false })
const examples = Array.from({ length: 64 }, (_, i) => {
  const source =
    [0, 1, 2, 3].map((j) => letters[(i * 7 + j * 5 + ((i * j) >> 2)) % 16] ?? '').join('') + letters[i % 16]
  return {
    source,
    target:
      [...source]
        .reverse()
        .join('')
        .slice(0, 3 + (i % 3)) + letters[(i * 3) % 16],
  }
})
// One block for a whole answer: no position of it waits for another.
const shape = { layers: 2, width: 64, heads: 4, blockLength: 8, maxLength: 16, seed: 1 }
const recipe = { task: 'base', batchRows: 64, learningRate: 4e-3, policyLearningRate: 0 } as const

async function losses(options: RemediOptions, more: object): Promise<number[]> {
  await using model = await RemediModel.create({ ...shape, ...options, tokenizer, threads: 1 })
  const totals: number[] = []
  for await (const { total } of new Trainer(model, { ...recipe, steps: 6, clip: 0, ...more }).run(examples))
    totals.push(total)
  return totals
}

// Without clipping, whose norm is that of both streams.
it('without a learning rate, the policy stream adds nothing, however many blocks it has', async () => {
  const one = await losses({ policyBlocks: 1 }, {})
  expect(await losses({ policyBlocks: 2, policyPositions: [0, 1] }, {})).toEqual(one)
  expect(await losses({ policyBlocks: 1 }, { policyLearningRate: 4e-3 })).not.toEqual(one)
})

it('learns 64 rows by heart; sampler llada', async () => {
  await using model = await RemediModel.create({ ...shape, policyBlocks: 1, tokenizer, threads: 1 })
  for await (const _ of new Trainer(model, { ...recipe, steps: 300, learningRate: warmupThenCosine(4e-3) }).run(
    examples,
  ));
  const found = await evaluateModel(model, examples, { sampler: 'llada', steps: 8 })
  console.log(`exact ${found.exact.value}, rounds ${found.meanRounds.value}, passes ${found.meanEncoderPasses.value}`)
  expect(found.exact.value).toBeGreaterThanOrEqual(0.98)
  expect(found.tokenEdits.f05.value).toBeGreaterThan(0.98)
  expect(found).toMatchObject({ leftOut: 0, meanRounds: { value: 8 }, deletion: { tokens: 0 } })
  // Eight steps, and the prompt.
  expect(found.meanEncoderPasses.value).toBe(9)
  expect(found.fillAccuracy.value).toBeGreaterThan(0.9)
})
