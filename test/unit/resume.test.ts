// Resume over an engine of two numbers: every stop is invisible afterwards, and what would show is refused (reliability B, C).
import { appendFile, copyFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { RecipeOptions } from '../../src/config.js'
import { MergeError } from '../../src/errors.js'
import { MergeModel } from '../../src/model.js'
import { verifyFolder, writeFolder } from '../../src/savedFolder.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { RunFolder } from '../../src/training/runFolder.js'
import { type ResumeOptions, type StepReport, Trainer } from '../../src/training/trainer.js'
import { fakeSession, plainReport } from './fakeSession.js'

// A weight and a moment; the loss depends on both, on the batch, and on what the step decided.
const toy = () => {
  const state = { model: 0, optimizer: 0 }
  return {
    ...fakeSession({
      train: ({ learningRate, gateNoise, rounds }, drafts, targets) => {
        const sum = [...targets.tokens, 7, ...drafts.tokens].reduce((total, token) => (31 * total + token) % 9973, 0)
        state.optimizer = 0.9 * state.optimizer + sum / 9973
        state.model += Number(learningRate) * state.optimizer + Number(gateNoise)
        return { ...plainReport, total: state.model, gate: state.optimizer, rounds: Number(rounds) }
      },
    }),
    save: async (path: string, part: 'model' | 'optimizer') => {
      if (part === 'model' && state[part] > unbearable)
        throw new MergeError('ERR_NONFINITE', `${part}: expected finite values`)
      await writeFile(path, String(state[part]))
    },
    load: async (path: string, part: 'model' | 'optimizer') => {
      state[part] = Number(await readFile(path, 'utf8'))
    },
  }
}
let unbearable = Number.POSITIVE_INFINITY

vi.mock('../../src/native.js', () => ({
  loadNative: async () => ({
    start: async () => undefined,
    open: async () => toy(),
    info: async () => ({ libtorchVersion: '2.13.0', cpuCapability: 'AVX2' }),
  }),
}))

const data = ['one', 'two', 'three', 'four', 'five', 'a row that is longer than forty tokens may be', 'seven', 'eight']
const steps = 24
const recipe = { steps, batchRows: 2, poolRows: 3, rounds: 3, tooLong: 'drop', saveEvery: 0 } as const

let place: string
let folder: string
beforeEach(async () => {
  unbearable = Number.POSITIVE_INFINITY
  place = await mkdtemp(join(tmpdir(), 'resume-'))
  folder = join(place, 'run')
})

const newTrainer = async (options: RecipeOptions = {}, now?: () => number) => {
  const model = await MergeModel.create({ maxLength: 40, tokenizer: byteTokenizer(), threads: 2 })
  return new Trainer(model, { ...recipe, ...options }, now)
}

/** Runs to the end, or to a step. */
async function run(trainer: Trainer, { until = Infinity, folder }: { until?: number; folder?: string } = {}) {
  const reports: StepReport[] = []
  if (until === 0) return reports
  for await (const report of trainer.run(data, folder === undefined ? {} : { folder })) {
    reports.push(report)
    if (report.step >= until) break
  }
  return reports
}

/** A report without what a clock says. */
const bare = ({ seconds, secondsLeft, tokensPerSecond, checkpoint, ...rest }: StepReport) => rest

/** A checkpoint after step 5 whose trainer.json says something else. */
async function forged(change: (state: Record<string, Record<string, unknown>>) => unknown): Promise<string> {
  const [real, lie] = [join(place, 'real'), join(place, 'lie')]
  const trainer = await newTrainer()
  await run(trainer, { until: 5 })
  await trainer.save(real)
  await writeFolder(lie, { kind: 'checkpoint', step: 5 }, async (to) => {
    for (const { name } of (await verifyFolder(real)).files) await copyFile(join(real, name), join(to, name))
    const state = JSON.parse(await readFile(join(to, 'trainer.json'), 'utf8'))
    await writeFile(join(to, 'trainer.json'), JSON.stringify(change(state) ?? state))
  })
  return lie
}

describe('Trainer.resume', () => {
  it('a stop after any step is invisible: epochs, pools, rows left out, schedules, moments', async () => {
    const whole = (await run(await newTrainer())).map(bare)
    expect(whole).toHaveLength(steps)
    expect(whole.at(-1)).toMatchObject({ epoch: 4, dropped: 4 })
    for (let stop = 0; stop <= steps; stop++) {
      const first = await newTrainer()
      const before = await run(first, { until: stop })
      await first.save(join(place, `after-${stop}`))
      const second = await Trainer.resume(join(place, `after-${stop}`))
      expect(second.step).toBe(stop)
      expect([...before, ...(await run(second))].map(bare), `stopped after ${stop}`).toEqual(whole)
    }
  })

  it('negative control: without its moments the run goes another way', async () => {
    const whole = (await run(await newTrainer())).map(bare)
    const first = await newTrainer()
    const before = await run(first, { until: 9 })
    await writeFolder(join(place, 'amnesia'), { kind: 'checkpoint', step: 9 }, async (to) => {
      await first.save(join(place, 'whole'))
      for (const { name } of (await verifyFolder(join(place, 'whole'))).files)
        await copyFile(join(place, 'whole', name), join(to, name))
      await writeFile(join(to, 'optimizer.safetensors'), '0')
    })
    const after = await run(await Trainer.resume(join(place, 'amnesia')))
    expect([...before, ...after].map(bare)).not.toEqual(whole)
  })

  it('goes on in its folder; what stood there beyond the checkpoint makes room', async () => {
    const whole = await run(await newTrainer({ saveEvery: 4 }), { folder: join(place, 'whole') })
    await run(await newTrainer({ saveEvery: 4 }), { until: 11, folder })
    await appendFile(join(folder, 'metrics.jsonl'), '{"step":12,"tot')
    const trainer = await Trainer.resume(folder)
    expect(trainer.step).toBe(8)
    await run(trainer, { folder })
    const text = await readFile(join(folder, 'metrics.jsonl'), 'utf8')
    const lines = text.split('\n').flatMap((line) => (line === '' ? [] : [bare(JSON.parse(line))]))
    expect(lines).toEqual(whole.map(bare))
    expect((await readdir(join(folder, 'checkpoints'))).sort()).toEqual(['step-16', 'step-20', 'step-24'])
  })

  it('goes on from an older checkpoint, and says so, where the newest does not verify', async () => {
    await run(await newTrainer({ saveEvery: 4 }), { until: 12, folder })
    await truncate(join(folder, 'checkpoints', 'step-12', 'model.safetensors'), 1)
    const warnings: string[] = []
    const trainer = await Trainer.resume(folder, { warn: (message) => warnings.push(message) })
    expect(trainer.step).toBe(8)
    expect(warnings).toEqual([
      expect.stringMatching(/step-12: model.safetensors is truncated: .*; going on from .*step-8$/),
    ])
  })

  it.each<[string, ResumeOptions, string]>([
    ['other threads', { threads: 3 }, 'threads: expected 2, as in the checkpoint, received 3'],
    ['another device', { device: 'cuda:0' }, 'device: expected cpu, as in the checkpoint, received cuda:0'],
    ['another dtype', { dtype: 'bfloat16' }, 'dtype: expected float32, as in the checkpoint, received bfloat16'],
    ['another precision', { matmulPrecision: 'medium' }, 'matmulPrecision: expected highest, as in the checkpoint'],
  ])('%s: refused, or allowed with a warning', async (_, options, message) => {
    const checkpoint = await forged(() => undefined)
    await expect(Trainer.resume(checkpoint, options)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining(message),
    })
    const warnings: string[] = []
    const warn = (text: string) => warnings.push(text)
    const trainer = await Trainer.resume(checkpoint, { ...options, allowNondeterministic: true, warn })
    expect(warnings).toEqual([expect.stringContaining(message)])
    expect(await run(trainer)).toHaveLength(steps - 5)
  })

  it.each(['version', 'libtorch', 'cpu'])('another %s: refused, or allowed with a warning', async (name) => {
    const checkpoint = await forged((state) => Object.assign(state.exactness ?? {}, { [name]: 'other' }) && undefined)
    const message = expect.stringContaining(`${name}: expected other, as in the checkpoint, received`)
    await expect(Trainer.resume(checkpoint)).rejects.toMatchObject({ code: 'ERR_CONFIG', message })
    const warn = vi.fn()
    await Trainer.resume(checkpoint, { allowNondeterministic: true, warn })
    expect(warn.mock.calls).toEqual([[message]])
  })

  it.each<[string, (state: Record<string, Record<string, unknown>>) => unknown, RegExp]>([
    ['an older format', (state) => ({ ...state, format: 1 }), /trainer.json is of another kind: format: expected 2/],
    ['another step', (state) => ({ ...state, position: { ...state.position, step: 6 } }), /expected 5, received 6/],
    ['a recipe it does not know', (state) => ({ ...state, recipe: { warp: 9 } }), /recipe.warp: unknown key/],
    ['a negative position', (state) => ({ ...state, position: { ...state.position, pool: -1 } }), /position.pool/],
  ])('a forged trainer.json with %s is refused', async (_, change, message) => {
    await expect(Trainer.resume(await forged(change))).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(message),
    })
  })

  it('refuses what is no run: nothing, a model, an empty run', async () => {
    const trainer = await newTrainer()
    await trainer.model.save(join(place, 'model'))
    await expect(Trainer.resume(join(place, 'model'))).rejects.toThrow('received a model without trainer.json')
    for (const name of ['nowhere', '.'])
      await expect(Trainer.resume(join(place, name))).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
  })

  it('only the length of a run and what it keeps may change', async () => {
    const checkpoint = await forged(() => undefined)
    const changed = await Trainer.resume(checkpoint, { recipe: { steps: 7, keep: 9 } })
    expect(changed.recipe).toMatchObject({ steps: 7, keep: 9, batchRows: 2 })
    expect(await run(changed)).toHaveLength(2)
    const other: ResumeOptions = JSON.parse('{"recipe":{"seed":1}}')
    await expect(Trainer.resume(checkpoint, other)).rejects.toThrow('recipe.seed: expected only steps, minutes,')
  })

  it('a run by minutes: the seconds so far count on', async () => {
    let time = 0
    const clock = () => (time += 3_000)
    const first = await newTrainer({ minutes: 1 }, clock)
    const before = await run(first, { until: 3 })
    await first.save(join(place, 'minutes'))
    time = 900_000
    const after = await run(await Trainer.resume(join(place, 'minutes'), { now: clock }))
    const seconds = [...before, ...after].map((report) => report.seconds)
    expect(seconds).toEqual(Array.from({ length: 20 }, (_, index) => 3 * (index + 1)))
  })
})

describe('a run folder', () => {
  it('a run that begins is refused where another stands', async () => {
    await run(await newTrainer(), { until: 1, folder })
    await expect(run(await newTrainer(), { folder })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    expect((await readFile(join(folder, 'metrics.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(1)
  })

  it('holds one trainer at a time, and lets go', async () => {
    const held = await RunFolder.open(folder)
    await expect(run(await newTrainer(), { folder })).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: `folder: expected one trainer at a time, received a second; process ${process.pid} trains in ${folder}`,
    })
    await held[Symbol.asyncDispose]()
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' })
    await run(await newTrainer(), { until: 1, folder })
    expect((await readdir(folder)).sort()).toEqual(['checkpoints', 'metrics.jsonl', 'tensorboard'])
  })

  it.each([
    ['a dead process', { pid: 999_999_999, startTime: '1', token: 'a' }],
    ['an id that was used again', { pid: process.pid, startTime: '1', token: 'a' }],
    ['a power cut', ''],
  ])('the lock of %s holds nothing', async (_, holder) => {
    await run(await newTrainer(), { until: 1, folder })
    await writeFile(join(folder, 'lock.json'), JSON.stringify(holder))
    await (await RunFolder.open(folder))[Symbol.asyncDispose]()
    expect((await readdir(folder)).sort()).toEqual(['checkpoints', 'metrics.jsonl', 'tensorboard'])
  })

  it('of many that ask at once, one gets a stale lock', async () => {
    await run(await newTrainer(), { until: 1, folder })
    for (let round = 0; round < 100; round++) {
      await writeFile(join(folder, 'lock.json'), JSON.stringify({ pid: 999_999_999, startTime: '1', token: 'a' }))
      const asked = await Promise.allSettled(Array.from({ length: 8 }, () => RunFolder.open(folder)))
      const held = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
      expect(held).toHaveLength(1)
      for (const one of held) await one[Symbol.asyncDispose]()
    }
    expect((await readdir(folder)).sort()).toEqual(['checkpoints', 'metrics.jsonl', 'tensorboard'])
  })

  it('weights that are not finite never cost the last good checkpoint', async () => {
    const trainer = await newTrainer({ saveEvery: 1, keep: 1, steps: 400 })
    const reports: StepReport[] = []
    const failing = async () => {
      for await (const report of trainer.run(data, { folder })) {
        reports.push(report)
        if (report.step === 6) unbearable = report.total
      }
    }
    await expect(failing()).rejects.toMatchObject({ code: 'ERR_NONFINITE' })
    expect(await readdir(join(folder, 'checkpoints'))).toEqual([`step-${reports.length}`])
    expect((await Trainer.resume(folder)).step).toBe(reports.length)
    await rm(folder, { recursive: true })
  })
})
