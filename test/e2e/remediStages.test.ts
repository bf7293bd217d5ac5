// RemeDi's stages by `merge-lm train`, one file each, then `merge-lm eval`; and exact resume of each kind of training.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RemediModel, type RemediRecipeOptions, Trainer, trainCharacterTokenizer } from '../../src/index.js'
import { runCommand } from './commandChild.js'

const root = resolve(import.meta.dirname, '../..')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-stages-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const stageFile = (name: string): string => join(root, 'examples/sudoku', `${name}.yaml`)
const reward = (name: string): string => `{ module: ${join(root, 'build/examples/sudoku/reward.js')}, name: ${name} }`

describe('merge-lm', () => {
  it('train base, sft, rl; eval', async () => {
    const made = spawnSync(
      process.execPath,
      [join(root, 'build/examples/sudoku/makeData.js'), '--grids', '40', '--puzzles', '3'],
      { cwd: folder, encoding: 'utf8' },
    )
    expect(made.status, made.stderr).toBe(0)
    for (const name of ['base', 'sft', 'rl']) {
      const more = name === 'rl' ? ['--set', `recipe.reward=${reward('dense')}`, '--set', 'recipe.batchRows=2'] : []
      const args = ['train', stageFile(name), '--steps', '2', '--set', `evaluation.reward=${reward('valid')}`, ...more]
      const done = await runCommand(args, { cwd: folder })
      expect(done.code, done.errors).toBe(0)
      expect(done.errors).toContain(name === 'rl' ? 'reward' : 'fills')
    }
    const lines = readFileSync(join(folder, 'runs/sudoku/rl/metrics.jsonl'), 'utf8').trim().split('\n')
    const last = JSON.parse(lines.at(-1) ?? '')
    expect(last.evaluation).toMatchObject({ exact: expect.any(Number), reward: expect.any(Number) })
    expect(last.remasksPerBlock).toBeGreaterThanOrEqual(0)

    const evaluation = ['eval', '-m', 'runs/sudoku/sft/model', '--data', 'runs/sudoku/data/test.jsonl']
    const found = await runCommand([...evaluation, '--max-new-tokens', '16', '--steps', '4', '--json'], { cwd: folder })
    expect(found.code, found.errors).toBe(0)
    const figures = JSON.parse(found.output)
    expect(figures.exact.n).toBe(figures.examples)
    expect(figures.calibration.ups.raw.auroc.n).toBeLessThan(16 * figures.examples)
    const shown = await runCommand([...evaluation, '--max-new-tokens', '16', '--reward', 'editDistance'], {
      cwd: folder,
    })
    expect(shown.output).toMatch(/remasks per block +\d/)
    for (const wrong of [['--mode', 'edit'], ['--chat']]) {
      expect((await runCommand([...evaluation, ...wrong], { cwd: folder })).errors).toMatch(/expected/)
    }
  })
})

describe('a run that goes on has the bits of one that never stopped', () => {
  const examples = ['abcd', 'bcde', 'cdef', 'defg', 'efgh', 'fghi'].map((source) => ({ source, target: source }))
  const tokenizer = trainCharacterTokenizer(['abcdefghi'], { caseShift: false })
  const shared = { steps: 5, batchRows: 3, seed: 3 } as const
  const recipes: readonly RemediRecipeOptions[] = [
    { task: 'base', ...shared },
    { task: 'sft', ...shared, wrongTokens: 'self', accumulation: 2 },
    {
      task: 'rl',
      ...shared,
      reward: { length: 4 },
      groupSize: 4,
      stepsPerBlock: 3,
      maxTokens: 8,
      updates: 2,
      learningRate: 1e-3,
      policyLearningRate: 2e-3,
    },
  ]

  it.each(recipes.map((recipe) => [recipe.task, recipe] as const))('%s', async (task, recipe) => {
    const totals: number[] = []
    const shape = { layers: 2, width: 32, heads: 2, blockLength: 8, maxLength: 24, tokenizer, threads: 1 }
    const model = await RemediModel.create(shape)
    const trainer = new Trainer(model, recipe)
    const checkpoint = join(folder, `${task}-checkpoint`)
    for await (const { step, gradientNorm } of trainer.run(examples)) {
      totals.push(gradientNorm)
      if (step === 2) await trainer.save(checkpoint)
    }
    const again = await Trainer.resume(checkpoint, {}, RemediModel)
    const later: number[] = []
    for await (const { gradientNorm } of again.run(examples)) later.push(gradientNorm)
    expect(later).toEqual(totals.slice(2))
    expect(totals.every((norm) => norm > 0)).toBe(true)
    await model.dispose()
    await again.model.dispose()
  })
})
