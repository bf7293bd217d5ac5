// The command line on RemeDi checkpoints in Hugging Face layout and on their exports: raw numbers, answers, refusals.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { worstError } from '../parity/golden.js'
import { checkpointFolder, readExpected } from '../parity/remediGolden.js'
import { runCommand, saveTinyModel } from './commandChild.js'

let folder = ''
let checkpoint: Awaited<ReturnType<typeof checkpointFolder>>
let expected: (tensor: string) => number[]
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-remedi-cli-'))
  checkpoint = await checkpointFolder('depth12')
  expected = await readExpected('depth12')
  await saveTinyModel(join(folder, 'tiny'))
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await checkpoint[Symbol.asyncDispose]()
})

async function command(args: readonly string[], input?: string) {
  const ending = await runCommand(args, { cwd: folder, ...(input === undefined ? {} : { input }) })
  expect(ending.code, ending.errors).toBe(0)
  return ending
}

describe('inspect', () => {
  test('prints the raw numbers of a checkpoint', async () => {
    const tokens = expected('prompt_ids').join()
    const outputs = ['--outputs', 'logits,confidence', '--json', 'raw.json']
    await command(['inspect', '--model', checkpoint.path, '--tokens', tokens, ...outputs])
    const raw = JSON.parse(readFileSync(join(folder, 'raw.json'), 'utf8'))
    expect(raw.outputs.logits.shape).toEqual([20, 96])
    expect(worstError(raw.outputs.logits.values, expected('prompt_logits'))).toBeLessThanOrEqual(1e-4)
    expect(worstError(raw.outputs.confidence.values, expected('prompt_confidence'))).toBeLessThanOrEqual(1e-4)
  })

  test.each([[], ['--no-cache']])('of a block behind a prompt %s', async (...flags: string[]) => {
    const prompt = ['--prompt-tokens', expected('prompt_ids').join(), '--tokens', expected('block_ids').join()]
    const { output } = await command(['inspect', '-m', checkpoint.path, ...prompt, ...flags.flat(), '--json'])
    const { outputs } = JSON.parse(output)
    expect(worstError(outputs.logits.values, expected('block_logits'))).toBeLessThanOrEqual(1e-4)
    expect(worstError(outputs.confidence.values, expected('block_confidence'))).toBeLessThanOrEqual(1e-4)
  })

  test('says what a checkpoint holds', async () => {
    const facts = JSON.parse((await command(['inspect', '-m', checkpoint.path, '--json'])).output)
    expect(facts).toMatchObject({ kind: 'checkpoint', config: { layers: 12, policyPositions: [0, 10] }, files: [] })
  })
})

test('export writes a checkpoint with the same numbers', async () => {
  await command(['export', '-m', checkpoint.path, '--to', 'out', '--shard-bytes', '300000'])
  expect(readdirSync(join(folder, 'out'))).toContain('model.safetensors.index.json')
  const logits = async (model: string) => {
    const { output } = await command(['inspect', '-m', model, '--tokens', '5,6,7', '--outputs', 'logits', '--json'])
    return JSON.parse(output).outputs.logits.values
  }
  expect(await logits('out')).toEqual(await logits(checkpoint.path))
})

describe('generate', () => {
  const flags = ['--steps', '4', '--max-new-tokens', '32']

  test('answers by the argument, by lines, as JSON and with every step', async () => {
    const { output } = await command(['generate', '-m', checkpoint.path, ...flags, '5 6 7'])
    const [json] = (await command(['generate', '-m', checkpoint.path, ...flags, '--json'], '5 6 7\n8\n')).output
      .split('\n')
      .map((line) => (line === '' ? undefined : JSON.parse(line)))
    expect(output).toBe(`${json.text}\n`)
    expect(json).toMatchObject({ steps: 4, evaluations: 5, stopReason: 'length' })
    const traced = await command(['generate', '-m', checkpoint.path, ...flags, '--trace', '5 6 7'])
    expect(traced.output.split('\n').filter((line) => /^0\.0\.\d \+\d+ -\d+ _\d+/.test(line))).toHaveLength(4)
  })

  test('flags of the other family are refused', async () => {
    const refused = async (args: readonly string[], message: string) => {
      const { code, errors } = await runCommand(args, { cwd: folder })
      expect(code).toBe(2)
      expect(errors).toContain(message)
    }
    await refused(
      ['generate', '-m', checkpoint.path, '--max-rounds', '2', '5'],
      'max-rounds: expected a model of family',
    )
    for (const flag of ['condition', 'fill-threshold']) {
      await refused(
        ['generate', '-m', checkpoint.path, `--${flag}`, '1', '5'],
        `${flag}: expected a model of family merge`,
      )
    }
    await refused(['generate', '-m', 'tiny', '--steps', '2', 'a'], 'steps: expected a model of family remedi')
    await refused(['generate', '-m', checkpoint.path, '--sampler', 'best', '5'], 'sampler: expected "fixed"')
    await refused(['inspect', '-m', checkpoint.path, '--tokens', '5', '--outputs', 'gate'], 'outputs: expected some of')
  })
})
