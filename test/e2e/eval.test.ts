// merge-lm eval on a tiny model: data of each kind, every flag, the table and the JSON, and what is refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand, saveTinyModel, tinyRun, tinySentences } from './commandChild.js'

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-eval-'))
  await saveTinyModel(join(folder, 'tiny'))
  writeFileSync(join(folder, 'sentences.txt'), tinySentences)
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...tinyRun, heldOut: 2 }))
  writeFileSync(join(folder, 'untouched.json'), JSON.stringify({ ...tinyRun, corruption: 'untouched' }))
  const pairs = [
    { source: 'the dog bark', target: 'The dog barks.' },
    { source: 'a fox', target: 'A fox.' },
    { source: 'x', target: 'A fox runs over the hill and over the next hill and over the last hill.' },
  ]
  writeFileSync(join(folder, 'pairs.jsonl'), pairs.map((pair) => JSON.stringify(pair)).join('\n'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: string[]) => runCommand(['eval', '-m', 'tiny', ...args], { cwd: folder })

async function figures(...args: string[]) {
  const { code, output, errors } = await run(...args, '--json')
  expect(code, errors).toBe(0)
  expect(errors).toBe('')
  return JSON.parse(output)
}

const share = { value: expect.any(Number), n: expect.any(Number) }

describe('data', () => {
  test('the held-out part of a configuration, with its corruption', async () => {
    const evaluation = await figures('--data', 'run.json', '--mode', 'edit')
    expect(evaluation).toMatchObject({ examples: 2, leftOut: 0, exact: share, overCorrection: share })
    expect(evaluation).toMatchObject({ meanRounds: share, meanEncoderPasses: share })
    expect(evaluation.tokenEdits).toMatchObject({ precision: { n: expect.any(Number) }, f05: share })
    expect(evaluation.wordEdits.recall.n).toBe(evaluation.wordEdits.wanted)
    expect(evaluation.deletion.tokens).toBeGreaterThan(20)
    expect(evaluation.calibration.bins).toHaveLength(15)
    expect(evaluation.calibration.ece.n).toBe(evaluation.fillAccuracy.n)
  })

  test('pairs of a file; rows that are too long are left out', async () => {
    expect(await figures('--data', 'pairs.jsonl')).toMatchObject({ examples: 2, leftOut: 1, exact: { n: 2 } })
  })

  test('finished texts of a file, with a corruption as YAML', async () => {
    const list = await figures('--data', 'sentences.txt', '--corruption', '[loseCase, { dropSpaces: 1 }]')
    expect(list).toMatchObject({ examples: 3, exactNothing: { value: 0, n: 3 } })
    const none = await figures('--data', 'run.json', '--corruption', 'untouched')
    expect(none).toMatchObject({ exactNothing: { value: 1, n: 2 }, tokenEdits: { wanted: 0 } })
  })
})

describe('flags', () => {
  test('limit takes the first examples, of a configuration and of a file', async () => {
    expect((await figures('--data', 'run.json', '--limit', '1')).examples).toBe(1)
    expect((await figures('--data', 'pairs.jsonl', '--limit', '1')).examples).toBe(1)
  })

  test('the corruption has a seed', async () => {
    const noise = ['--data', 'sentences.txt', '--corruption', '{ dropCharacters: 0.3 }']
    const edits = async (...more: string[]) => (await figures(...noise, ...more)).tokenEdits.wanted
    const [none, zero, other] = [
      await edits(),
      await edits('--corruption-seed', '0'),
      await edits('--corruption-seed', '5'),
    ]
    expect(zero).toBe(none)
    expect(other).not.toBe(none)
  })

  test('the mode and the flags of the loop reach the model', async () => {
    const generated = await figures('--data', 'pairs.jsonl', '--mode', 'gen', '--max-rounds', '1')
    expect(generated.meanRounds.value).toBe(1)
    const strict = await figures('--data', 'pairs.jsonl', '--keep-threshold', '1')
    expect(strict.deletion.proposed).toBe(strict.deletion.tokens)
  })
})

test('a table for people: a line a figure, with what it was measured on', async () => {
  const { code, output } = await run('--data', 'pairs.jsonl')
  expect(code).toBe(0)
  expect(output).toMatch(/^2 examples, 1 left out: too long for a row of this model\n/)
  expect(output).toMatch(/^ {2}exact match +\d+\.\d % {2}2 examples$/m)
  expect(output).toMatch(/^ {2}mean rounds +\d+\.\d{3} {2}2 examples$/m)
  expect(output.trimEnd().split('\n')).toHaveLength(20)
})

describe('refused in one sentence', () => {
  test.each([
    [['--data', 'untouched.json'], 2, 'corruption: expected one, since example 0 has no draft of its own'],
    [['--data', 'pairs.jsonl', '--corruption', 'cleanUp'], 2, 'corruption: expected data without drafts of their own'],
    [['--data', 'run.json', '--corruption', 'cleanup'], 2, 'corruption: expected a corruption'],
    [['--data', 'run.json', '--corruption', '[a'], 2, 'corruption: expected YAML'],
    [['--data', 'run.json', '--mode', 'both'], 2, 'mode: expected "auto" or "edit" or "gen", received "both"'],
    [['--data', 'run.json', '--limit', '0'], 2, 'limit: expected a whole number >= 1, received 0'],
    [['--data', 'run.json', '--corruption-seed', '0.5'], 2, 'corruptionSeed: expected a whole number, received 0.5'],
    [['--data', 'none.txt'], 3, 'none.txt'],
    [[], 2, "required option '--data <file>' not specified"],
  ])('%j', async (args, code, message) => {
    const ending = await run(...args)
    expect(ending.errors).toContain(message)
    expect(ending.code).toBe(code)
  })
})
