// A study over a fake engine: what is finished is not trained again, what is cut short goes on, and one JSON holds it all.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { ablationPlan } from '../../src/cli/ablationPlan.js'
import { runStudy, type Study } from '../../src/cli/ablationStudy.js'
import { showProgress } from '../../src/cli/progress.js'
import { MergeError } from '../../src/errors.js'
import type { NativeRecord } from '../../src/native.js'
import { ablationReport } from '../../src/training/ablationReport.js'
import { runConfig } from '../../src/training/runConfig.js'
import { fakeSession, plainReport } from './fakeSession.js'
import { elementsOf } from './markupTree.js'

const engine = { opened: 0, disposed: 0, steps: [] as NativeRecord[], modes: new Set<unknown>(), afterStep: () => {} }

vi.mock('../../src/native.js', () => ({
  loadNative: async () => ({
    start: async () => undefined,
    open: async () => {
      expect(engine.opened, 'one model at a time').toBe(engine.disposed)
      engine.opened++
      const session = fakeSession({
        train: (step) => {
          engine.steps.push(step)
          engine.afterStep()
          return { ...plainReport }
        },
        round: ({ tokens }, { mode }) => {
          engine.modes.add(mode)
          // It deletes the first token, rightly or not.
          return tokens.flatMap((_, keep) => (keep > 0 ? [{ keep }] : []))
        },
      })
      return { ...session, dispose: async () => void engine.disposed++ }
    },
    info: async () => ({ libtorchVersion: '2.13.0', cpuCapability: 'AVX2' }),
  }),
}))

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'study-'))
  await writeFile(join(folder, 'a.txt'), 'One.\nTwo.\nThree.\nFour.\nFive.\nSix.\n')
  Object.assign(engine, { opened: 0, disposed: 0, steps: [], modes: new Set(), afterStep: () => {} })
})

function study(changes: Partial<Study> = {}): Study {
  const config = runConfig.parse({
    data: { file: join(folder, 'a.txt') },
    corruption: 'cleanUp',
    heldOut: 2,
    folder: join(folder, 'out'),
    recipe: { steps: 4, batchRows: 2, saveEvery: 2 },
    model: { maxLength: 40 },
  })
  const place = join(folder, 'study')
  return {
    folder: place,
    plan: ablationPlan(config, { folder: place, data: 'a', seeds: 2, only: ['gate'] }),
    command: 'merge-lm ablate',
    progress: showProgress({ stream: { write: () => undefined } }),
    signal: new AbortController().signal,
    warn: () => undefined,
    ...changes,
  }
}

// Three different variants (the reference is the learned gate), two seeds, four steps each.
const allSteps = 3 * 2 * 4

test('trains each variant and seed once, and never twice', async () => {
  const report = await runStudy(study())
  expect(engine.steps).toHaveLength(allSteps)
  expect(engine.opened).toBe(6)
  expect(engine.disposed).toBe(6)
  expect(engine.modes).toEqual(new Set(['auto', 'edit', 'gen']))
  expect(new Set(engine.steps.map(({ weightGate, seed }) => `${weightGate} ${seed}`))).toEqual(
    new Set(['0.1 0', '0.1 1', '0 0', '0 1']),
  )
  expect(report.ablations.map(({ variants }) => variants.map(({ runs }) => runs.length))).toEqual([[2], [2, 2, 2]])
  expect(report.ablations[0]?.variants[0]?.runs).toEqual(report.ablations[1]?.variants[0]?.runs)
  expect(report.ablations[1]?.variants[1]).toMatchObject({
    name: 'edit',
    changes: { refine: { mode: 'edit' } },
    figures: { exact: { n: 2 }, trainTokensPerSecond: { mean: expect.any(Number) } },
  })

  engine.steps.length = 0
  expect(await runStudy(study())).toEqual(report)
  expect(engine.steps).toHaveLength(0)
})

test('leaves ablations.json, a page, and in each run its result without checkpoints', async () => {
  const report = await runStudy(study())
  expect((await readdir(join(folder, 'study'))).sort()).toEqual(['ablations.json', 'report.html', 'runs'])
  const saved = ablationReport.parse(JSON.parse(await readFile(join(folder, 'study/ablations.json'), 'utf8')))
  expect(saved).toEqual(report)
  const cells = elementsOf(await readFile(join(folder, 'study/report.html'), 'utf8'))
  expect(cells.filter(({ name }) => name === 'th').map(({ text }) => text)).toContain('always generate')
  const runs = await readdir(join(folder, 'study/runs'))
  expect(runs).toHaveLength(6)
  expect((await readdir(join(folder, 'study/runs', runs[0] ?? ''))).sort()).toEqual([
    ...['config.json', 'data.json', 'metrics.jsonl', 'model', 'report.html', 'result.json', 'tensorboard'],
  ])
})

test('cut short in the middle of a run, it goes on after the very step', async () => {
  const controller = new AbortController()
  engine.afterStep = () => {
    if (engine.steps.length === 7) controller.abort(new MergeError('ERR_ABORTED', 'stopped by SIGINT'))
  }
  await expect(runStudy(study({ signal: controller.signal }))).rejects.toMatchObject({ code: 'ERR_ABORTED' })
  expect(engine.steps).toHaveLength(7)
  expect(engine.disposed).toBe(engine.opened)
  const partial = ablationReport.parse(JSON.parse(await readFile(join(folder, 'study/ablations.json'), 'utf8')))
  expect(partial.ablations[0]?.variants[0]?.runs).toHaveLength(1)
  const report = await runStudy(study())
  expect(engine.steps).toHaveLength(allSteps)
  expect(engine.steps.slice(4, 8).map(({ step }) => step)).toEqual([0, 1, 2, 3])
  expect(report.ablations[1]?.variants.map(({ runs }) => runs.length)).toEqual([2, 2, 2])
})

test('a result that is lost is made anew, a deleter that was never trained has no F1', async () => {
  await runStudy(study())
  const [run = ''] = await readdir(join(folder, 'study/runs'))
  await rm(join(folder, 'study/runs', run, 'result.json'))
  engine.steps.length = 0
  await runStudy(study())
  expect(engine.steps).toHaveLength(4)
  const { plan, ...rest } = study()
  const first = plan[0]?.variants[0]?.runs[0]
  if (first === undefined) throw new Error('no run')
  const losses = { ...first.config.recipe.losses, compression: 0, length: 0 }
  const untrained = {
    ...first,
    folder: 'runs/x',
    config: { ...first.config, folder: join(folder, 'study/runs/x'), recipe: { ...first.config.recipe, losses } },
  }
  const ablation = { name: 'a', title: 'A', variants: [] }
  const variants = [{ variant: { name: 'v', title: 'V', changes: {} }, runs: [first, untrained] }]
  const report = await runStudy({ ...rest, plan: [{ ablation, variants }] })
  const f1 = report.ablations[0]?.variants[0]?.runs.map(({ figures }) => figures.deleterF1)
  expect(f1).toEqual([expect.any(Number), null])
})
