// Resume: a run that is killed or stopped at any moment ends with the bits of the run that never stopped (reliability B, C).
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { randomFrom } from '../../src/random.js'
import { latestCheckpoint } from '../../src/training/checkpoint.js'
import { commandFile, runCommand } from './commandChild.js'

const STEPS = 160
const SAVE_EVERY = 3
const KILLS = 20

let folder = ''
const at = (...names: string[]): string => join(folder, ...names)
const random = randomFrom(11)

/** Epochs of 12 steps, pools that end within them, rows that are too long, accumulation, evaluations. */
const config = {
  data: { file: 'sentences.txt' },
  heldOut: 4,
  corruption: 'cleanUp',
  model: { layers: 1, width: 32, heads: 2, maxLength: 60, maxInsert: 2 },
  recipe: {
    ...{ steps: STEPS, saveEvery: SAVE_EVERY, keep: 2, evaluateEvery: 40 },
    ...{ batchRows: 6, poolRows: 20, tooLong: 'drop', accumulation: 2 },
  },
  folder: 'whole',
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-resume-'))
  const words = 'the dog fox lazy hill barks runs over quick brown We saw A jumps near old red house'.split(' ')
  const sentence = () => Array.from({ length: 2 + random.integer(13) }, () => random.pick(words)).join(' ')
  writeFileSync(at('sentences.txt'), `${Array.from({ length: 60 }, sentence).join('\n')}\n`)
  writeFileSync(at('run.json'), JSON.stringify(config))
  await train('whole')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const onlyAtEnd = ['--set', `recipe.saveEvery=${STEPS}`]
const trainArgs = (run: string, rest: readonly string[]): string[] => ['train', 'run.json', '--folder', run, ...rest]

async function train(run: string, ...rest: string[]) {
  const ending = await runCommand(trainArgs(run, ['--threads', '1', ...rest]), { cwd: folder })
  expect(ending.code, ending.errors).toBe(0)
  return ending
}

const textOf = (run: string): string => readFileSync(at(run, 'metrics.jsonl'), 'utf8')

/** Every number of every step as the shortest text that gives its bits again; clocks and paths are left out. */
function numbers(run: string): string[] {
  const clocks = ['seconds', 'secondsLeft', 'tokensPerSecond', 'nativeSeconds', 'hostSeconds', 'checkpoint']
  const lines = textOf(run).trim().split('\n')
  return lines.map((line) =>
    JSON.stringify(JSON.parse(line), (key, value) => (clocks.includes(key) ? undefined : value)),
  )
}

function sha256(...path: string[]): string {
  return createHash('sha256')
    .update(readFileSync(at(...path)))
    .digest('hex')
}

function expectSame(run: string, reference: string, steps = STEPS): void {
  expect(numbers(run)).toEqual(numbers(reference))
  expect(numbers(run)).toHaveLength(steps)
  for (const name of ['model.safetensors', 'optimizer.safetensors']) {
    const path = ['checkpoints', `step-${steps}`, name]
    expect(sha256(run, ...path), name).toBe(sha256(reference, ...path))
  }
  expect(sha256(run, 'model', 'model.safetensors')).toBe(sha256(reference, 'model', 'model.safetensors'))
  expect(leftovers(run)).toEqual([])
}

/** What a killed process left. */
const leftovers = (run: string): string[] =>
  [at(run), at(run, 'checkpoints')].flatMap((path) => readdirSync(path).filter((name) => /\.(tmp|old)-/.test(name)))

/** Starts `merge-lm train --resume`, and calls back for each name that appears or changes in the run's folder. */
function start(run: string, seen: (name: string, child: ChildProcess) => void) {
  mkdirSync(at(run, 'checkpoints'), { recursive: true })
  const args = [commandFile, ...trainArgs(run, ['--threads', '1', '--resume'])]
  const child = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore' })
  const watchers = [at(run), at(run, 'checkpoints')].map((path) => watch(path, (_, name) => seen(name ?? '', child)))
  const ended = new Promise<NodeJS.Signals | null>((done) => child.on('close', (_, signal) => done(signal)))
  const close = (): void => {
    for (const watcher of watchers) watcher.close()
  }
  return { child, ended: ended.finally(close) }
}

/** Kills a run at a random moment: of its start, of its steps, or of a save. */
async function killOnce(run: string, kind: 'start' | 'step' | 'save'): Promise<NodeJS.Signals | null> {
  const saves = new Set<string>()
  const save = 1 + random.integer(2)
  const delayMs = { start: 50 + 600 * random.next(), step: 100 * random.next(), save: 6 * random.next() }[kind]
  let isAimed = kind === 'start'
  const kill = (child: ChildProcess) => setTimeout(() => child.kill('SIGKILL'), delayMs)
  const { child, ended } = start(run, (name, running) => {
    if (isAimed || !(kind === 'step' ? name === 'metrics.jsonl' : /^step-\d+\.tmp-/.test(name))) return
    if (kind === 'save' && saves.add(name).size < save) return
    isAimed = true
    if (kind === 'save' && delayMs < 3) running.kill('SIGKILL')
    else kill(running)
  })
  if (kind === 'start') kill(child)
  return ended
}

test(`a run killed at ${KILLS} random moments ends with the bits of the run that never stopped`, async () => {
  let insideSaves = 0
  for (let i = 0; i < KILLS; i++) {
    const kind = i % 2 === 0 ? 'save' : i % 10 === 9 ? 'start' : 'step'
    expect(await killOnce('killed', kind), `kill ${i}: the run must not be over yet`).toBe('SIGKILL')
    expect(leftovers('killed').filter((name) => name.startsWith('step-')).length).toBeLessThanOrEqual(1)
    if (leftovers('killed').length > 0) insideSaves++
    const found = await latestCheckpoint(at('killed', 'checkpoints'))
    expect(found?.refused ?? []).toEqual([])
    const isStarted = existsSync(at('killed', 'metrics.jsonl'))
    const lines = isStarted ? textOf('killed').split('\n').length - 1 : 0
    expect(lines - (found?.step ?? 0), `steps lost by kill ${i}`).toBeLessThanOrEqual(SAVE_EVERY)
  }
  await train('killed', '--resume')
  expectSame('killed', 'whole')
  expect(insideSaves, 'kills inside a save').toBeGreaterThanOrEqual(3)
  console.log(`${insideSaves} of ${KILLS} kills left a save unfinished`)
})

describe.each([1, 2])('%i threads', (threads) => {
  const run = `stopped-${threads}`
  const amnesia = `amnesia-${threads}`
  const reference = threads === 1 ? 'whole' : 'whole-2'

  test('Ctrl-C during a step saves, and the run goes on as if it had never stopped', async () => {
    const flags = ['--threads', String(threads), ...onlyAtEnd]
    if (threads === 2) await train('whole-2', ...flags)
    for (const [after, more] of [
      [/^step \d+/m, []],
      [/after step \d+$/m, ['--resume']],
    ] as const) {
      const signals = [{ after, signal: 'SIGINT' }] as const
      const ending = await runCommand(trainArgs(run, [...flags, ...more]), { cwd: folder, signals })
      expect(ending.code, ending.errors).toBe(130)
    }
    cpSync(at(run), at(amnesia), { recursive: true })
    await train(run, ...flags, '--resume')
    expectSame(run, reference)
  })

  test('negative control: without the moments the losses differ from the second step on', async () => {
    const found = await latestCheckpoint(at(amnesia, 'checkpoints'))
    const step = found?.step ?? 0
    const path = [amnesia, 'checkpoints', `step-${step}`]
    const bytes = readFileSync(at(...path, 'optimizer.safetensors'))
    bytes.fill(0, 8 + Number(bytes.readBigUInt64LE(0)))
    writeFileSync(at(...path, 'optimizer.safetensors'), bytes)
    const manifest = JSON.parse(readFileSync(at(...path, 'manifest.json'), 'utf8'))
    for (const file of manifest.files) file.sha256 = sha256(...path, file.name)
    writeFileSync(at(...path, 'manifest.json'), JSON.stringify(manifest))
    await train(amnesia, '--threads', String(threads), ...onlyAtEnd, '--resume')
    expect(numbers(amnesia).slice(0, step + 1)).toEqual(numbers(reference).slice(0, step + 1))
    const differing = numbers(amnesia).filter((line, index) => line !== numbers(reference)[index])
    expect(differing).toHaveLength(STEPS - step - 1)
  })
})

describe('what a folder holds', () => {
  test('a damaged newest checkpoint: the run goes on from the one before and says so', async () => {
    cpSync(at('whole'), at('damaged'), { recursive: true })
    truncateSync(at('damaged', 'checkpoints', `step-${STEPS}`, 'model.safetensors'), 99)
    const { errors } = await train('damaged', '--resume')
    expect(errors).toMatch(
      /warning: damaged\/checkpoints\/step-160: model.safetensors is truncated: .*going on from .*159/,
    )
    expectSame('damaged', 'whole')
    expect(readdirSync(at('damaged', 'checkpoints')).sort()).toEqual([
      'step-159',
      'step-160',
      expect.stringMatching(/^step-160\.aside-/),
    ])
  })

  test('weights that leave their range after a finite step never cost the last good checkpoint', async () => {
    const ramp = 'linear: { from: 1.0e+39, to: 1.0e+39, steps: 1, start: 5 }'
    const set = [
      `recipe.learningRate={ chain: [{ constant: 0.001 }, { ${ramp} }] }`,
      'recipe.saveEvery=1',
      'recipe.keep=1',
    ]
    const args = trainArgs('overflown', ['--threads', '1', ...set.flatMap((value) => ['--set', value])])
    const ending = await runCommand(args, { cwd: folder })
    expect(ending.code, ending.errors).toBe(6)
    expect(ending.errors).toMatch(/ERR_NONFINITE: checkpoint of step 6: .* expected finite values, .* it is not saved/)
    expect(readdirSync(at('overflown', 'checkpoints'))).toEqual(['step-5'])
    expect((await runCommand(['inspect', '-m', 'overflown/checkpoints/step-5'], { cwd: folder })).code).toBe(0)
  })

  test('only damaged checkpoints: 4, and nothing is touched', async () => {
    cpSync(at('whole'), at('ruined'), { recursive: true })
    for (const step of [STEPS - 1, STEPS]) rmSync(at('ruined', 'checkpoints', `step-${step}`, 'trainer.json'))
    const ending = await runCommand(trainArgs('ruined', ['--resume']), { cwd: folder })
    expect(ending.code).toBe(4)
    expect(ending.errors).toContain(
      'no checkpoint verifies; the newest: ruined/checkpoints/step-160: trainer.json is missing',
    )
    expect(textOf('ruined')).toBe(textOf('whole'))
  })

  test.each([
    [['--seed', '7'], 'recipe.seed: expected 0, with which the run in whole began, received 7'],
    [['--set', 'recipe.losses.gate=0.3'], 'recipe.losses.gate: expected 0.1'],
    [['--set', 'model.width=64'], 'model.width: expected 32'],
    [['--set', 'corruption=untouched'], 'corruption: expected "cleanUp"'],
    [['--set', 'model.dtype=bfloat16'], 'dtype: expected float32, as in the checkpoint, received bfloat16'],
    [['--threads', '2'], 'threads: expected 1, as in the checkpoint, received 2'],
    [['--overwrite'], 'resume: expected --resume or --overwrite, received both'],
  ])('another configuration is refused: %j', async (flags, message) => {
    const ending = await runCommand(trainArgs('whole', ['--resume', ...flags]), { cwd: folder })
    expect(ending.code).toBe(2)
    expect(ending.errors).toContain(message)
  })

  test('other data are refused; other threads are allowed on demand, with a warning', async () => {
    cpSync(at('whole'), at('moved'), { recursive: true })
    const allowed = await train('moved', '--resume', '--threads', '2', '--allow-nondeterministic', '--steps', '162')
    expect(allowed.errors).toContain('warning: threads: expected 1, as in the checkpoint, received 2')
    expect(numbers('moved')).toHaveLength(162)
    writeFileSync(at('sentences.txt'), `${readFileSync(at('sentences.txt'), 'utf8')}One more.\n`)
    const ending = await runCommand(trainArgs('moved', ['--resume', '--threads', '2']), { cwd: folder })
    expect(ending.code).toBe(2)
    expect(ending.errors).toContain('data: expected the 60 examples with which the run in moved began, received 61')
  })
})

test('two trainers on one folder: the second is refused at once; a dead one holds nothing', async () => {
  let isRunning: () => void = () => undefined
  const running = new Promise<void>((done) => {
    isRunning = done
  })
  const first = start('shared', (name) => name === 'metrics.jsonl' && isRunning())
  await running
  for (const flag of ['--resume', '--overwrite']) {
    const startedAt = performance.now()
    const second = await runCommand(trainArgs('shared', [flag]), { cwd: folder })
    console.log(`second trainer, ${flag}: refused after ${Math.round(performance.now() - startedAt)} ms`)
    expect(second.code, second.errors).toBe(2)
    expect(second.errors).toContain(`received a second; process ${first.child.pid} trains in shared`)
  }
  first.child.kill('SIGKILL')
  await first.ended
  expect(existsSync(at('shared', 'lock.json'))).toBe(true)
  await train('shared', '--resume', ...onlyAtEnd)
  expect(existsSync(at('shared', 'lock.json'))).toBe(false)
})
