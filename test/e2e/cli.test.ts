// The command line on a tiny model: each command's output, pipes, files, exit codes, and what Ctrl-C does.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyEdits } from '../../src/text/editScript.js'
import { commandFile, runCommand, saveTinyModel, tinyRun, tinySentences } from './commandChild.js'

let folder = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-cli-'))
  await saveTinyModel(join(folder, 'tiny'))
  writeFileSync(join(folder, 'sentences.txt'), tinySentences)
  writeFileSync(join(folder, 'run.json'), JSON.stringify(tinyRun))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function command(args: readonly string[], input?: string) {
  const ending = await runCommand(args, { cwd: folder, ...(input === undefined ? {} : { input }) })
  expect(ending.code, ending.errors).toBe(0)
  return ending
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
const jsonLines = (text: string) => lines(text).map((line) => JSON.parse(line))

describe('edit', () => {
  test('a text: JSON with edits that lead from the one to the other', async () => {
    const { output } = await command(['edit', '-m', 'tiny', '--json', '--mode', 'edit', 'a Fox jumps'])
    const [result] = jsonLines(output)
    expect(applyEdits('a Fox jumps', result.edits)).toBe(result.text)
    expect(result).toMatchObject({ rounds: expect.any(Number), stopReason: expect.any(String) })
  })

  test('the plain text is the text of the JSON', async () => {
    const [plain, json] = await Promise.all([
      command(['edit', '-m', 'tiny', 'a fox']),
      command(['edit', '-m', 'tiny', '--json', 'a fox']),
    ])
    expect(plain.output).toBe(`${jsonLines(json.output)[0].text}\n`)
  })

  test('each line of stdin gives one line', async () => {
    const { output } = await command(['edit', '-m', 'tiny', '--json'], 'a fox\n\nthe dog jumps\n')
    expect(jsonLines(output)).toHaveLength(3)
  })

  test('a condition is read, and never part of the text', async () => {
    const traced = async (...more: string[]) =>
      jsonLines((await command(['edit', '-m', 'tiny', '--trace', '--json', ...more, 'a fox'])).output)[0]
    const [alone, behind] = await Promise.all([traced(), traced('--condition', 'the dog')])
    expect(behind.trace[0].gate).not.toBe(alone.trace[0].gate)
    expect(applyEdits('a fox', behind.edits)).toBe(behind.text)
    const { code, errors } = await runCommand(['edit', '-m', 'tiny', '--condition', 'fox '.repeat(20), 'a fox'], {
      cwd: folder,
    })
    expect(code).toBe(3)
    expect(errors).toContain('condition: expected at most 48 tokens (maxLength), received')
  })

  test('locked spans stay', async () => {
    const { output } = await command([
      'edit',
      '-m',
      'tiny',
      '--json',
      '--mode',
      'edit',
      '--locked',
      '0:5',
      'a fox jumps',
    ])
    const [result] = jsonLines(output)
    for (const { start, end } of result.edits) expect(end <= 0 || start >= 5, `${start}:${end}`).toBe(true)
  })

  test('a trace as text, as JSON, and as a picture', async () => {
    const { output } = await command(['edit', '-m', 'tiny', '--trace', '--trace-svg', 'trace.svg', 'a fox'])
    expect(output).toMatch(/^ {3}draft {3}a fox\n 1 gate {4}[01]\.\d\d {2}/)
    expect(readFileSync(join(folder, 'trace.svg'), 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s)
    const [traced] = jsonLines((await command(['edit', '-m', 'tiny', '--trace', '--json', 'a fox'])).output)
    expect(traced.trace).toHaveLength(traced.rounds)
    expect(traced.trace.at(-1).text).toBe(traced.text)
  })
})

test('generate keeps the prompt, infill what stands around the hole', async () => {
  const [generated] = jsonLines((await command(['generate', '-m', 'tiny', '--json', 'the '])).output)
  expect(generated.text.startsWith('the ')).toBe(true)
  const [filled] = jsonLines((await command(['infill', '-m', 'tiny', '--json', 'a ___ dog'])).output)
  expect(filled.text).toMatch(/^a .* dog$/s)
})

describe('inspect', () => {
  test('facts', async () => {
    const facts = JSON.parse((await command(['inspect', '-m', 'tiny', '--json'])).output)
    expect(facts).toMatchObject({ kind: 'model', config: { layers: 1, width: 32 }, tokenizer: { kind: 'character' } })
    const sizes: number[] = facts.parameters.map(({ shape }: { shape: number[] }) => shape.reduce((a, b) => a * b, 1))
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(facts.parameterCount)
    expect((await command(['inspect', '-m', 'tiny'])).output).toContain('embedding.weight')
  })

  test('inner values, to a file and as text', async () => {
    const names = 'hidden,logits,keep,gate,score,counts'
    await command(['inspect', '-m', 'tiny', '--tokens', '5,6,7', '--outputs', names, '--json', 'inner.json'])
    const { tokens, outputs } = JSON.parse(readFileSync(join(folder, 'inner.json'), 'utf8'))
    expect(tokens).toEqual([5, 6, 7])
    expect(Object.keys(outputs)).toEqual(names.split(','))
    for (const [name, { shape, values }] of Object.entries<{ shape: number[]; values: number[] }>(outputs)) {
      expect(values.length, name).toBe(shape.reduce((product, size) => product * size, 1))
      expect(values.every(Number.isFinite), name).toBe(true)
    }
    const { output } = await command(['inspect', '-m', 'tiny', '--text', 'a fox', '--outputs', 'gate'])
    expect(output).toMatch(/^gate \[1\] {2}-?\d+\.\d{4}\n$/)
  })
})

test('doctor --json, --version, --help', async () => {
  const report = JSON.parse((await command(['doctor', '--json'])).output)
  expect(report.healthy).toBe(true)
  expect((await command(['--version'])).output).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect((await command(['edit', '--help'])).output).toContain('Examples:')
})

test('tokenizer train writes a file that a run can use', async () => {
  await command(['tokenizer', 'train', 'sentences.txt', '-o', 'bpe', '--vocabulary-size', '270'])
  const set = ['--set', 'tokenizer={ kind: file, path: bpe }', '--folder', 'with-bpe', '--steps', '1']
  await command(['train', 'run.json', ...set])
  const facts = JSON.parse((await command(['inspect', '-m', 'with-bpe/model', '--json'])).output)
  expect(facts.tokenizer).toMatchObject({ kind: 'huggingface', vocabularySize: 270 })
})

describe('train', () => {
  test('a run leaves metrics, checkpoints and a model; a second run there is refused', async () => {
    const { output, errors } = await command(['train', 'run.json', '--json'])
    expect(jsonLines(output).map(({ step }) => step)).toEqual([1, 2, 3, 4])
    expect(errors).toBe('')
    expect(readdirSync(join(folder, 'out')).sort()).toEqual([
      'checkpoints',
      'config.json',
      'data.json',
      'metrics.jsonl',
      'model',
      'report.html',
      'tensorboard',
    ])
    expect(readdirSync(join(folder, 'out/checkpoints')).sort()).toEqual(['step-2', 'step-4'])
    expect(jsonLines(readFileSync(join(folder, 'out/metrics.jsonl'), 'utf8'))).toHaveLength(4)
    await command(['edit', '-m', 'out/model', 'a fox'])
    expect((await runCommand(['train', 'run.json'], { cwd: folder })).code).toBe(2)
    await command(['train', 'run.json', '--overwrite', '--steps', '1'])
  })

  test('plain lines, evaluation, and what to type next', async () => {
    const set = ['--set', 'heldOut=1', '--set', 'recipe.evaluateEvery=2']
    const { errors, output } = await command(['train', 'run.json', '--folder', 'plain', ...set])
    expect(output).toBe('')
    expect(errors).toMatch(/^step 4 {2}100 % {2}0:00 left .* tokens\/s .* MiB .* loss \d/m)
    expect(errors).toMatch(/^step 2: exact .* %/m)
    expect(errors).toContain('merge-lm edit -m plain/model')
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('the first %s saves and stops: %i', async (signal, code) => {
    const args = ['train', 'run.json', '--folder', signal, '--steps', '1000000', '--set', 'recipe.saveEvery=0']
    const ending = await runCommand(args, { cwd: folder, signals: [{ after: /^step \d+/m, signal }] })
    expect(ending.code, ending.errors).toBe(code)
    const [, step] = /stopped by SIG\w+ after step (\d+); saved/.exec(ending.errors) ?? []
    expect(existsSync(join(folder, signal, 'checkpoints', `step-${step}`, 'optimizer.safetensors'))).toBe(true)
    await command(['edit', '-m', `${signal}/model`, 'a fox'])
  })

  test('the second SIGINT ends at once', async () => {
    const args = ['train', 'run.json', '--folder', 'twice', '--steps', '1000000']
    const signals = [
      { after: /^step \d+/m, signal: 'SIGINT' },
      { after: /Saving and stopping/, signal: 'SIGINT' },
    ] as const
    expect((await runCommand(args, { cwd: folder, signals })).code).toBe(130)
  })
})

test('a reader that goes away is no error', () => {
  const pipe = `"${process.execPath}" "${commandFile}" inspect -m tiny | head -n 1`
  const { status, stderr } = spawnSync('sh', ['-c', pipe], { cwd: folder, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
