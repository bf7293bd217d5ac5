// The best checkpoint: which evaluation it is of, that it outlives rotation, and that a resumed run remembers it.
import { mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { modelConfig, type RecipeOptions, recipe } from '../../src/config.js'
import { MergeModel } from '../../src/model.js'
import { verifyFolder } from '../../src/savedFolder.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { newBest } from '../../src/training/best.js'
import { type StepReport, Trainer } from '../../src/training/trainer.js'
import { fakeSession } from './fakeSession.js'

vi.mock('../../src/native.js', () => ({
  loadNative: async () => ({
    start: async () => undefined,
    open: async () => fakeSession(),
    info: async () => ({ libtorchVersion: '2.13.0', cpuCapability: 'AVX2' }),
  }),
}))

let folder = ''
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'best-')), 'run')
})

const newTrainer = async (options: RecipeOptions) =>
  new Trainer(await MergeModel.create({ ...modelConfig.parse({}), tokenizer: byteTokenizer(), threads: 1 }), {
    ...{ steps: 8, batchRows: 2, evaluateEvery: 1, saveEvery: 2, keep: 1, best: { metric: 'exact' } },
    ...options,
  })

/** Runs to a step; the evaluation after step n finds values[n - 1]. */
async function run(trainer: Trainer, values: readonly number[], until = 8): Promise<StepReport[]> {
  const evaluate = async () => ({ exact: values[trainer.step - 1] ?? 0, other: 1 })
  const reports: StepReport[] = []
  for await (const report of trainer.run(['one', 'two', 'three'], { folder, evaluate })) {
    reports.push(report)
    if (report.step >= until) break
  }
  return reports
}

const bestStep = async () => (await verifyFolder(join(folder, 'checkpoints/best'))).step
const bestSteps = (reports: readonly StepReport[]) =>
  reports.flatMap(({ step, best }) => (best === undefined ? [] : [step]))
const stateOf = async (name: string) =>
  JSON.parse(await readFile(join(folder, 'checkpoints', name, 'trainer.json'), 'utf8'))

describe('a run with recipe.best', () => {
  it('keeps the best evaluation outside of rotation; of equal ones the first; never one that is not finite', async () => {
    const values = [0.1, Number.NaN, 0.5, 0.5, Number.POSITIVE_INFINITY, 0.4, 0.3, 0.2]
    const reports = await run(await newTrainer({}), values)
    expect(bestSteps(reports)).toEqual([1, 3])
    expect(reports[2]?.best).toBe(join(folder, 'checkpoints/best'))
    expect((await readdir(join(folder, 'checkpoints'))).sort()).toEqual(['best', 'step-8'])
    expect(await bestStep()).toBe(3)
    expect((await stateOf('best')).best).toEqual({ metric: 'exact', mode: 'max', value: 0.5, step: 3 })
    expect((await Trainer.resume(join(folder, 'checkpoints/best'))).step).toBe(3)
  })

  it('min: less is better', async () => {
    const trainer = await newTrainer({ best: { metric: 'exact', mode: 'min' } })
    expect(bestSteps(await run(trainer, [0.5, 0.6, 0.4, 0.4, 0.9, 0.1, 0.2, 0.3]))).toEqual([1, 3, 6])
  })

  it('is remembered by a run that goes on', async () => {
    await run(await newTrainer({}), [0.1, 0.7, 0.2, 0.3], 4)
    const trainer = await Trainer.resume(folder)
    expect(trainer.step).toBe(4)
    expect(bestSteps(await run(trainer, [0, 0, 0, 0, 0.6, 0.7, 0.8, 0.5]))).toEqual([7])
    expect(await bestStep()).toBe(7)
  })

  it('negative control: a run that forgets takes the next evaluation for the best', async () => {
    await run(await newTrainer({}), [0.1, 0.7, 0.2, 0.3], 4)
    const trainer = await Trainer.resume(folder)
    await rm(join(folder, 'checkpoints/best'), { recursive: true })
    expect(bestSteps(await run(trainer, [0, 0, 0, 0, 0.6]))).toEqual([5])
  })

  it('one of a step that is taken again, or that is damaged, steps aside', async () => {
    await run(await newTrainer({}), [0.1, 0.2, 0.3, 0.2, 0.9], 5)
    const trainer = await Trainer.resume(folder)
    expect(trainer.step).toBe(4)
    expect(bestSteps(await run(trainer, [0, 0, 0, 0, 0.4, 0.1], 6))).toEqual([5])
    await truncate(join(folder, 'checkpoints/best/model.safetensors'), 1)
    expect(bestSteps(await run(await Trainer.resume(folder), [0, 0, 0, 0, 0, 0, 0.2, 0.1]))).toEqual([7])
    const names = await readdir(join(folder, 'checkpoints'))
    expect(names.filter((name) => name.startsWith('best.aside-'))).toHaveLength(2)
    expect(await bestStep()).toBe(7)
  })

  it('what a killed replacement moved away comes back', async () => {
    await run(await newTrainer({}), [0.1, 0.7, 0.2, 0.3], 4)
    await rename(join(folder, 'checkpoints/best'), join(folder, 'checkpoints/best.old-999999999-00ff'))
    expect(bestSteps(await run(await Trainer.resume(folder), [0, 0, 0, 0, 0.6, 0.1, 0.1, 0.1]))).toEqual([])
    expect(await bestStep()).toBe(2)
  })

  it('another rule begins anew', async () => {
    await run(await newTrainer({}), [0.1, 0.7, 0.2, 0.3], 4)
    const trainer = await Trainer.resume(folder, { recipe: { best: { metric: 'exact', mode: 'min' } } })
    expect(bestSteps(await run(trainer, [0, 0, 0, 0, 0.6, 0.5]))).toEqual([5, 6, 7])
  })
})

describe('refused', () => {
  it('a metric that the evaluation does not have', async () => {
    const trainer = await newTrainer({ best: { metric: 'exakt' } })
    await expect(run(trainer, [])).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: 'recipe.best.metric: expected one of exact, other, received "exakt"; did you mean "exact"?',
    })
  })

  it('a run without an evaluation or without a folder', async () => {
    const trainer = await newTrainer({})
    await expect(trainer.run(['a'], { folder }).next()).rejects.toThrow('expected an evaluation to judge by')
    const evaluate = async () => ({ exact: 1 })
    await expect(trainer.run(['a'], { evaluate }).next()).rejects.toThrow('expected a folder to keep it in')
  })

  it('a recipe that never evaluates', () => {
    const result = recipe.safeParse({ best: { metric: 'exact' } })
    expect(result.error?.issues[0]).toMatchObject({
      path: ['best'],
      message: 'expected with evaluateEvery above 0, received evaluateEvery 0',
    })
  })

  it('a folder of that name that is none of ours', async () => {
    await run(await newTrainer({ saveEvery: 1 }), [], 1)
    await rm(join(folder, 'checkpoints/best'), { recursive: true })
    await writeFile(join(folder, 'checkpoints/best'), 'mine')
    const trainer = await Trainer.resume(folder)
    await run(trainer, [0, 0.5], 2)
    expect(await bestStep()).toBe(2)
    const aside = (await readdir(join(folder, 'checkpoints'))).find((name) => name.startsWith('best.aside-')) ?? ''
    expect(await readFile(join(folder, 'checkpoints', aside), 'utf8')).toBe('mine')
  })
})

it('an evaluation is the best where it is better, not where it is equal', () => {
  const rule = { metric: 'exact', mode: 'max' } as const
  const before = { ...rule, value: 0.5, step: 1 }
  const at = (exact: number) => newBest(rule, { step: 2, evaluation: { exact } }, before)?.step
  expect([0.4, 0.5, 0.6, Number.NaN].map(at)).toEqual([undefined, undefined, 2, undefined])
  expect(newBest(rule, { step: 2, evaluation: { exact: Number.NaN } }, undefined)).toBeUndefined()
})
