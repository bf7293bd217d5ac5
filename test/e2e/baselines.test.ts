// Baselines through the command line: trained on pairs from a file, killed and resumed to the bit, asked by every command
// that takes them; what only other families take is refused.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyEdits } from '../../src/index.js'
import { randomFrom } from '../../src/random.js'
import { commandFile, runCommand } from './commandChild.js'

const STEPS = 40

let folder = ''
const at = (...names: string[]): string => join(folder, ...names)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-baselines-'))
  const random = randomFrom(5)
  const words = 'dog fox hill runs over quick brown we saw jumps near old red house'.split(' ')
  const pairs = Array.from({ length: 48 }, () => {
    const source = Array.from({ length: 1 + random.integer(3) }, () => random.pick(words)).join(' ')
    return JSON.stringify({ source, target: `${source.charAt(0).toUpperCase()}${source.slice(1)}.` })
  })
  writeFileSync(at('pairs.jsonl'), `${pairs.join('\n')}\n`)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Family {
  readonly family: string
  readonly model: object
  readonly outputs: readonly string[]
}

const families: readonly Family[] = [
  { family: 'gpt', model: { layers: 1, width: 32, heads: 2, maxLength: 80 }, outputs: ['hidden', 'logits'] },
  {
    family: 'maskgit',
    model: { layers: 1, width: 32, heads: 2, maxLength: 40, lengthRange: 4 },
    outputs: ['hidden', 'logits', 'length'],
  },
]

describe.each(families)('$family', ({ family, model, outputs }) => {
  const file = `${family}.json`
  const whole = `${family}-whole`
  const command = async (args: readonly string[], input?: string) => {
    const ending = await runCommand(args, { cwd: folder, ...(input === undefined ? {} : { input }) })
    expect(ending.code, ending.errors).toBe(0)
    return ending
  }
  const trainArgs = (run: string, ...rest: string[]) => ['train', file, '--folder', run, '--threads', '1', ...rest]

  beforeAll(async () => {
    const recipe = { steps: STEPS, saveEvery: 4, evaluateEvery: STEPS, batchRows: 8, poolRows: 20, accumulation: 2 }
    const config = { family, data: { file: 'pairs.jsonl' }, heldOut: 6, model, recipe, folder: whole }
    writeFileSync(at(file), JSON.stringify(config))
    await command(trainArgs(whole))
  })

  test('a run that is killed and resumed ends with the bits of the run that never stopped', async () => {
    const run = `${family}-killed`
    mkdirSync(at(run, 'checkpoints'), { recursive: true })
    const child = spawn(process.execPath, [commandFile, ...trainArgs(run, '--resume')], {
      cwd: folder,
      stdio: 'ignore',
    })
    const seen = new Set<string>()
    const watcher = watch(at(run, 'checkpoints'), (_, name) => {
      if (name !== null && /^step-\d+$/.test(name) && seen.add(name).size === 3) child.kill('SIGKILL')
    })
    const signal = await new Promise((done) => child.on('close', (_, by) => done(by)))
    watcher.close()
    expect(signal, 'the run must not be over yet').toBe('SIGKILL')
    await command(trainArgs(run, '--resume'))
    expect(numbers(run)).toEqual(numbers(whole))
    expect(numbers(run)).toHaveLength(STEPS)
    for (const name of ['model.safetensors', 'optimizer.safetensors']) {
      const path = ['checkpoints', `step-${STEPS}`, name]
      expect(sha256(run, ...path), name).toBe(sha256(whole, ...path))
    }
  })

  test('the evaluation of its run is in the metrics', () => {
    const last = JSON.parse(readFileSync(at(whole, 'metrics.jsonl'), 'utf8').trim().split('\n').at(-1) ?? '{}')
    expect(Object.keys(last.evaluation)).toEqual(['exact', 'exactNothing', 'cleanDamaged', 'meanRounds'])
    expect(last.evaluation.exactNothing).toBe(0)
  })

  test('edit gives one line for each line, and edits that lead to it', async () => {
    const { output } = await command(['edit', '-m', `${whole}/model`, '--json'], 'dog runs\nfox\n')
    const results = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(results).toHaveLength(2)
    for (const [i, result] of results.entries()) {
      expect(applyEdits(['dog runs', 'fox'][i] ?? '', result.edits)).toBe(result.text)
      expect(Object.keys(result)).toEqual(['text', 'edits', 'rounds', 'stopReason', 'confidence', 'truncated'])
      expect(result.confidence).toBeGreaterThan(0)
      expect(result.confidence).toBeLessThanOrEqual(1)
    }
  })

  test('eval measures it as it measures MERGE; without a deleter there is nothing to say of one', async () => {
    const { output } = await command(['eval', '-m', `${whole}/model`, '--data', file, '--json'])
    const figures = JSON.parse(output)
    expect(figures).toMatchObject({ examples: 6, leftOut: 0, deletion: { tokens: 0, f1: { value: null } } })
    expect(figures.meanEncoderPasses.value).toBeGreaterThanOrEqual(1)
    expect(figures.fillAccuracy.n).toBeGreaterThan(0)
    const table = await command(['eval', '-m', `${whole}/model`, '--data', 'pairs.jsonl', '--limit', '3'])
    expect(table.output).toMatch(/exact/)
  })

  test('inspect tells what it holds, and its inner values', async () => {
    const facts = JSON.parse((await command(['inspect', '-m', `${whole}/model`, '--json'])).output)
    expect(facts).toMatchObject({ kind: 'model', config: { layers: 1, width: 32 } })
    expect(facts.parameterCount).toBeGreaterThan(1000)
    const { output } = await command(['inspect', '-m', `${whole}/model`, '--text', 'dog', '--json'])
    expect(Object.keys(JSON.parse(output).outputs)).toEqual(outputs)
  })

  test('refuses what only other families take', async () => {
    const ending = await runCommand(['edit', '-m', `${whole}/model`, '--edit-threshold', '0.5', 'dog'], { cwd: folder })
    expect([ending.code, ending.errors]).toEqual([
      2,
      expect.stringContaining(`edit-threshold: expected a model of family merge, received ${family}`),
    ])
  })
})

describe('generate with a MaskGIT model', () => {
  const args = ['generate', '-m', 'maskgit-whole/model', '--threads', '1']
  const text = async (...rest: string[]): Promise<string> => {
    const ending = await runCommand([...args, ...rest], { cwd: folder })
    expect(ending.code, ending.errors).toBe(0)
    return ending.output
  }

  test('writes a text of so many tokens, another with another seed', async () => {
    const result = JSON.parse(await text('--max-new-tokens', '12', '--json'))
    expect(result.rounds).toBeGreaterThan(0)
    expect(result.text.length).toBeGreaterThan(0)
    const drawn = ['--max-new-tokens', '12', '--temperature', '1', '--seed']
    expect(await text(...drawn, '1')).toBe(await text(...drawn, '1'))
    expect(await text(...drawn, '1')).not.toBe(await text(...drawn, '2'))
  })

  test.each([
    [3, ['--max-new-tokens', '12', 'a prompt'], /prompt: expected none/],
    [2, [], /max-new-tokens: expected the tokens of the text, received none/],
    [3, ['--max-new-tokens', '41'], /length: expected a whole number 1..40/],
    [2, ['--max-new-tokens', '4', '--chat'], /chat: expected a model of family remedi/],
  ])('ends with %d for %j', async (code, rest, message) => {
    const ending = await runCommand([...args, ...rest], { cwd: folder })
    expect([ending.code, ending.errors]).toEqual([code, expect.stringMatching(message)])
  })
})

test.each([
  [['edit', '--trace', 'dog'], /trace: expected a model of family merge/],
  [['eval', '--data', 'pairs.jsonl', '--mode', 'gen'], /mode: expected a model of family merge/],
  [['inspect', '--text', 'dog', '--outputs', 'keep'], /outputs: expected some of/],
  [['export', '--to', 'out'], /model: expected a model of family remedi/],
])('a GPT refuses %j', async ([name = '', ...rest], message) => {
  const ending = await runCommand([name, '-m', 'gpt-whole/model', ...rest], { cwd: folder })
  expect(ending.code, ending.errors).toBe(2)
  expect(ending.errors).toMatch(message)
})

test('generate continues a prompt with a GPT', async () => {
  const args = ['generate', '-m', 'gpt-whole/model', '--max-new-tokens', '5', '--json']
  const { output, code, errors } = await runCommand([...args, 'dog'], { cwd: folder })
  expect(code, errors).toBe(0)
  const answer = JSON.parse(output)
  expect(answer.tokens.length).toBeLessThanOrEqual(5)
  expect(answer.probability).toHaveLength(answer.tokens.length)
  const refused = await runCommand([...args, '--chat', 'dog'], { cwd: folder })
  expect([refused.code, refused.errors]).toEqual([2, expect.stringMatching(/chat: expected a model of family remedi/)])
})

/** Every number of every step; clocks and paths are left out. */
function numbers(run: string): string[] {
  const clocks = ['seconds', 'secondsLeft', 'tokensPerSecond', 'nativeSeconds', 'hostSeconds', 'checkpoint']
  const lines = readFileSync(at(run, 'metrics.jsonl'), 'utf8').trim().split('\n')
  return lines.map((line) =>
    JSON.stringify(JSON.parse(line), (key, value) => (clocks.includes(key) ? undefined : value)),
  )
}

function sha256(...path: string[]): string {
  return createHash('sha256')
    .update(readFileSync(at(...path)))
    .digest('hex')
}
