// merge-lm train: pretraining, a run that starts from what it learned with layers frozen, and one from published weights.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MergeModel } from '../../src/model.js'
import { runCommand, tinyRun, tinySentences } from './commandChild.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-pretrain-'))
  writeFileSync(join(folder, 'sentences.txt'), tinySentences)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Trains what the tiny run's configuration says with these changes; gives what it said on stderr and its metrics. */
async function train(
  name: string,
  changes: Readonly<Record<string, unknown>>,
  recipe: Readonly<Record<string, unknown>>,
) {
  const config = { ...tinyRun, ...changes, recipe: { ...tinyRun.recipe, ...recipe }, folder: name }
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(config))
  const ended = await runCommand(['train', `${name}.json`], { cwd: folder })
  expect(ended.code, ended.errors).toBe(0)
  const metrics = readFileSync(join(folder, name, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  return { errors: ended.errors, reports: metrics.map((line) => JSON.parse(line)) }
}

test('pretrain, then start from it with the first layer frozen', async () => {
  const { reports, errors } = await train(
    'first',
    { heldOut: 2 },
    { task: 'pretrain', steps: 6, evaluateEvery: 3, freezeLayers: 1, freezeSteps: 1 },
  )
  expect(errors).toContain('warning: recipe.freezeLayers: the encoder was not pretrained')
  const last = reports.at(-1)
  expect(last.total).toBe(last.terms.recon)
  expect(last.evaluation).toMatchObject({ maskedAccuracy: expect.any(Number), maskedLoss: expect.any(Number) })

  const second = await train('second', { model: { from: 'first/model' } }, { steps: 3, freezeLayers: 1 })
  expect(second.errors).not.toContain('freezeLayers')
  expect(second.reports.at(-1).terms.pointer).toBeGreaterThan(0)
  await using model = await MergeModel.load(join(folder, 'second/model'), { threads: 1 })
  expect(model.pretrained).toBe(true)
  expect(model.config.layers).toBe((await MergeModel.load(join(folder, 'first/model'))).config.layers)
})

test('start from published weights, with their tokenizer', async () => {
  const from = fileURLToPath(new URL('../golden/import/bert', import.meta.url))
  writeFileSync(
    join(folder, 'sentences.txt'),
    'the cat sat on a mat\none red dog run far off\na dog saw the cat\n'.repeat(8),
  )
  const { reports } = await train(
    'published',
    { model: { from, maxLength: 12 }, corruption: 'untouched' },
    { steps: 2 },
  )
  expect(reports).toHaveLength(2)
  await using model = await MergeModel.load(join(folder, 'published/model'))
  expect(model.tokenizer.kind).toBe('huggingface')
  expect((await model.edit('the dog sat')).text).toEqual(expect.any(String))
})
