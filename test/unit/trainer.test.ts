// Trainer over a fake session: schedules, rounds, reports, ends, aborts, numbers that are not finite, run folders.
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { modelConfig, type RecipeOptions } from '../../src/config.js'
import { modelOver } from '../../src/model.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { latestCheckpoint } from '../../src/training/checkpoint.js'
import { type RunOptions, type StepReport, Trainer } from '../../src/training/trainer.js'
import { type FakeBehaviour, fakeSession, plainReport } from './fakeSession.js'

const data = ['one', 'two', 'three', 'four', 'five']

async function trainerWith(options: RecipeOptions, behaviour: FakeBehaviour = {}, now?: () => number) {
  const session = fakeSession(behaviour)
  const model = await modelOver(session, modelConfig.parse({}), byteTokenizer())
  return { session, trainer: new Trainer(model, { batchRows: 2, ...options }, now) }
}

async function reports(trainer: Trainer, options: RunOptions = {}): Promise<StepReport[]> {
  const all: StepReport[] = []
  for await (const report of trainer.run(data, options)) all.push(report)
  return all
}

describe('Trainer', () => {
  it("takes the recipe's steps, and reports each", async () => {
    const { trainer, session } = await trainerWith({
      steps: 4,
      learningRate: { linear: { from: 1, to: 0, share: 1 } },
      rounds: 3,
    })
    const all = await reports(trainer)
    expect(all.map(({ step, progress, learningRate }) => [step, progress, learningRate])).toEqual([
      [1, 0.25, 1],
      [2, 0.5, 0.75],
      [3, 0.75, 0.5],
      [4, 1, 0.25],
    ])
    expect(all[0]).toMatchObject({
      total: 1,
      terms: { recon: 0.5, length: 0.1 },
      tokens: 100,
      masks: 10,
      epoch: 0,
      dropped: 0,
    })
    expect(all.at(-1)?.secondsLeft).toBe(0)
    expect(session.steps.map((step) => step.step)).toEqual([0, 1, 2, 3])
  })

  it('draws the rounds of each step from U(1, rounds), the same for the same seed', async () => {
    const roundsOf = async (seed: number) => {
      const { trainer, session } = await trainerWith({ steps: 60, rounds: 3, seed })
      await reports(trainer)
      return session.steps.map((step) => step.rounds)
    }
    const rounds = await roundsOf(5)
    expect(new Set(rounds)).toEqual(new Set([1, 2, 3]))
    expect(await roundsOf(5)).toEqual(rounds)
    expect(await roundsOf(6)).not.toEqual(rounds)
  })

  it('has gate noise in the first tenth of the run', async () => {
    const { trainer, session } = await trainerWith({ steps: 20 })
    await reports(trainer)
    expect(session.steps.map((step) => step.gateNoise)).toEqual([0.05, 0.05, ...new Array(18).fill(0)])
  })

  it('ends by the clock, and schedules follow it', async () => {
    let time = 0
    const train = () => {
      time += 15_000
      return { ...plainReport }
    }
    const { trainer } = await trainerWith(
      { minutes: 1, learningRate: { linear: { from: 1, to: 0, share: 1 } } },
      { train },
      () => time,
    )
    const all = await reports(trainer)
    expect(all.map(({ learningRate, secondsLeft, seconds }) => [learningRate, seconds, secondsLeft])).toEqual([
      [1, 15, 45],
      [0.75, 30, 30],
      [0.5, 45, 15],
      [0.25, 60, 0],
    ])
    expect(all[3]?.tokensPerSecond).toBeCloseTo(100 / 15, 9)
  })

  it('stops between steps when aborted, and can go on', async () => {
    const controller = new AbortController()
    const { trainer, session } = await trainerWith(
      { steps: 5 },
      {
        train: () => {
          controller.abort()
          return { ...plainReport }
        },
      },
    )
    await expect(reports(trainer, { signal: controller.signal })).rejects.toMatchObject({ name: 'AbortError' })
    expect(trainer.step).toBe(1)
    expect((await reports(trainer)).map((report) => report.step)).toEqual([2, 3, 4, 5])
    expect(session.steps.map((step) => step.step)).toEqual([0, 1, 2, 3, 4])
  })

  it('stops where the caller stops, and goes on with the next batch', async () => {
    const seen: string[] = []
    const train: FakeBehaviour['train'] = (_, __, targets) => {
      seen.push([...targets.tokens].join())
      return { ...plainReport }
    }
    const { trainer } = await trainerWith({ steps: 6 }, { train })
    for await (const { step } of trainer.run(data)) if (step === 2) break
    await reports(trainer)
    const whole = [...seen]
    seen.length = 0
    await reports((await trainerWith({ steps: 6 }, { train })).trainer)
    expect(seen).toEqual(whole)
  })

  it.each(['total', 'gate', 'gradientNorm'])('a %s that is not finite ends the run; nothing is saved', async (name) => {
    const folder = join(await mkdtemp(join(tmpdir(), 'run-')), 'run')
    const train: FakeBehaviour['train'] = (step) => ({
      ...plainReport,
      ...(step.step === 2 ? { [name]: Number.NaN } : {}),
    })
    const { trainer } = await trainerWith({ steps: 9, saveEvery: 1 }, { train })
    const message = `${name} of step 2: expected a finite number, received NaN`
    await expect(reports(trainer, { folder })).rejects.toMatchObject({ code: 'ERR_NONFINITE', message })
    expect((await latestCheckpoint(join(folder, 'checkpoints')))?.step).toBe(2)
    await expect(trainer.save(join(folder, 'after'))).rejects.toMatchObject({ code: 'ERR_NONFINITE' })
    await expect(reports(trainer)).rejects.toMatchObject({ code: 'ERR_NONFINITE' })
  })

  it('a run folder holds metrics and the newest checkpoints', async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'run-')), 'run')
    const { trainer } = await trainerWith({ steps: 7, saveEvery: 2, keep: 2, evaluateEvery: 3 })
    const all = await reports(trainer, { folder, evaluate: async () => ({ exact: 0.5 }) })
    expect(all.map((report) => report.evaluation?.exact)).toEqual([
      undefined,
      undefined,
      0.5,
      undefined,
      undefined,
      0.5,
      0.5,
    ])
    const lines = (await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(JSON.parse(JSON.stringify(all)))
    expect((await readdir(join(folder, 'checkpoints'))).sort()).toEqual(['step-6', 'step-7'])
    const files = [
      'config.json',
      'manifest.json',
      'model.safetensors',
      'optimizer.safetensors',
      'tokenizer.json',
      'trainer.json',
    ]
    expect((await readdir(join(folder, 'checkpoints', 'step-7'))).sort()).toEqual(files)
    const state = JSON.parse(await readFile(join(folder, 'checkpoints', 'step-7', 'trainer.json'), 'utf8'))
    expect(state).toMatchObject({ format: 2, position: { step: 7, epoch: 2 }, recipe: { steps: 7, seed: 0 } })
  })

  it('one run at a time', async () => {
    const { trainer } = await trainerWith({ steps: 3 })
    const first = trainer.run(data)
    await first.next()
    await expect(trainer.run(data).next()).rejects.toMatchObject({ code: 'ERR_INPUT' })
    await first.return()
    expect(await reports(trainer)).toHaveLength(2)
  })

  it('a wrong recipe is refused at once', async () => {
    await expect(trainerWith({ learningRate: Number.NaN })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('a data set that fails ends the run with its error', async () => {
    const { trainer } = await trainerWith({ steps: 3 })
    async function* broken(): AsyncGenerator<string> {
      yield 'a'
      throw new Error('disk on fire')
    }
    await expect(trainer.run(broken()).next()).rejects.toThrow('disk on fire')
  })
})
