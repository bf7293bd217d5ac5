// The command line with a Levenshtein Transformer: train by a file, go on, edit, evaluate, inspect, and what it refuses.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCommand } from './commandChild.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-levt-cli-'))
  const words = ['cat', 'dog', 'sun', 'sea', 'map', 'hen']
  const lines = Array.from({ length: 48 }, (_, i) => {
    const target = [0, 1, 2].map((place) => words[(i * (place + 2) + place) % 6]).join(' ')
    return JSON.stringify({ source: target.replace('a', 'o').replace('n', ''), target })
  })
  writeFileSync(join(folder, 'pairs.jsonl'), lines.join('\n'))
  const run = {
    family: 'levt',
    model: { layers: 1, width: 32, heads: 2, maxLength: 32 },
    data: { file: 'pairs.jsonl' },
    heldOut: 8,
    recipe: { steps: 12, batchRows: 16, saveEvery: 6, evaluateEvery: 12, ownDeletion: 0.2 },
    folder: 'runs/levt',
  }
  writeFileSync(join(folder, 'run.json'), JSON.stringify(run))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function command(args: readonly string[], input?: string) {
  const ending = await runCommand(args, { cwd: folder, ...(input === undefined ? {} : { input }) })
  expect(ending.code, ending.errors).toBe(0)
  return ending
}
const model = ['-m', 'runs/levt/model']

test('train writes metrics, a page and a model, and goes on', async () => {
  const { output } = await command(['train', 'run.json', '--threads', '1', '--steps', '6', '--json'])
  const last = JSON.parse(output.trim().split('\n').at(-1) ?? '')
  expect(last).toMatchObject({ step: 6, terms: { deletion: expect.any(Number), token: expect.any(Number) } })
  const { errors } = await command(['train', 'run.json', '--threads', '1', '--resume'])
  expect(errors).toMatch(/fills .*loss .*deletion .*placeholder .*token/)
  const lines = readFileSync(join(folder, 'runs/levt/metrics.jsonl'), 'utf8').trim().split('\n')
  expect(lines.length).toBe(12)
  expect(JSON.parse(lines.at(-1) ?? '').evaluation).toMatchObject({ exact: expect.any(Number) })
  expect(readFileSync(join(folder, 'runs/levt/report.html'), 'utf8')).toContain('placeholder')
})

test('edit answers a line for a line, as JSON and with its rounds', async () => {
  const { output } = await command(['edit', ...model, '--max-rounds', '2'], 'cot dog\nsu map\n')
  expect(output.trimEnd().split('\n').length).toBe(2)
  const json = JSON.parse((await command(['edit', ...model, '--json', '--locked', '0:3', 'cot dog'])).output)
  expect(json).toMatchObject({ rounds: expect.any(Number), edits: expect.any(Array) })
  expect(json.text).toContain('cot')
  await command(['edit', ...model, '--trace', 'cot dog'])
})

test('eval measures what the file holds out', async () => {
  const { output } = await command(['eval', ...model, '--data', 'run.json', '--json'])
  const figures = JSON.parse(output)
  expect(figures.examples).toBe(8)
  expect(figures.meanRounds.value).toBeGreaterThanOrEqual(1)
  expect(figures.meanEncoderPasses.value).toBeGreaterThanOrEqual(figures.meanRounds.value)
})

test('inspect shows the three heads', async () => {
  const { output } = await command(['inspect', ...model, '--text', 'cat', '--json'])
  const { outputs } = JSON.parse(output)
  expect(Object.keys(outputs)).toEqual(['hidden', 'logits', 'keep', 'counts'])
  expect(outputs.counts.shape).toEqual([4, 17])
})

test.each([
  [['generate', ...model, 'cat'], /expected a model of family remedi, received levt/],
  [['infill', ...model, 'c___t'], /expected a model of family merge, received levt/],
  [
    ['edit', ...model, '--edit-threshold', '0.4', 'cat'],
    /edit-threshold: expected a model of family merge, received levt/,
  ],
  [['edit', ...model, '--mode', 'gen', 'cat'], /mode: expected a model of family merge/],
  [['train', 'run.json', '--set', 'recipe.ownFill=2', '--folder', 'other'], /recipe\.ownFill: expected 0\.\.1/],
  [['train', 'run.json', '--set', 'model.deleter=block', '--folder', 'other'], /model\.deleter/],
  [['train', 'run.json', '--set', 'family=bert', '--folder', 'other'], /family/],
])('refuses %s', async (args, message) => {
  const { code, errors } = await runCommand(args, { cwd: folder })
  expect(code).toBeGreaterThan(0)
  expect(errors).toMatch(message)
})
