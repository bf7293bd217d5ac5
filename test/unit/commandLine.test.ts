// The command line without a model: flags, configuration files, progress, exit codes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAssignment, readRunConfig } from '../../src/cli/configFile.js'
import { errorText, exitCodeOf } from '../../src/cli/exitCode.js'
import { numberOf } from '../../src/cli/modelOptions.js'
import { makeProgram } from '../../src/cli/program.js'
import { count, duration, progressLine, showProgress } from '../../src/cli/progress.js'
import { parseSpans } from '../../src/cli/textInput.js'
import { errorCodes, MergeError } from '../../src/errors.js'
import { mergeFigures } from '../../src/merge/mergeTask.js'
import { stepReport } from '../../src/training/report.js'
import { plainReport } from './fakeSession.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const reportOf = (step: number) =>
  stepReport(
    plainReport,
    {
      step,
      learningRate: 1e-3,
      progress: 0.25,
      epoch: 0,
      seconds: 10,
      secondsLeft: 75,
      tokensPerSecond: 12_345,
      dropped: 0,
    },
    mergeFigures,
  )

describe('flags', () => {
  test('locked spans, repeated and joined', () => {
    expect(parseSpans('0:2')).toEqual([[0, 2]])
    expect(parseSpans('5:9, 11:12', [[0, 2]])).toEqual([
      [0, 2],
      [5, 9],
      [11, 12],
    ])
    expect(() => parseSpans('2')).toThrow('locked: expected spans like 0:2,5:9, received "2"')
  })

  test('numbers', () => {
    expect(numberOf('1e-3')).toBe(0.001)
    for (const text of ['', ' ', 'x', '1x']) expect(() => numberOf(text), text).toThrow('Expected a number.')
  })

  test('assignments are YAML', () => {
    const assignments = parseAssignment('recipe.losses.gate=0.2', parseAssignment('data={ file: a.txt }'))
    expect(assignments).toEqual([
      ['data', { file: 'a.txt' }],
      ['recipe.losses.gate', 0.2],
    ])
    expect(() => parseAssignment('minutes')).toThrow('set: expected <key>=<value>, such as recipe.minutes=2')
  })

  test('every command has examples in its help', () => {
    const program = makeProgram()
    const names = program.commands.map((command) => command.name())
    expect(names).toEqual([
      'train',
      'edit',
      'generate',
      'infill',
      'inspect',
      'export',
      'eval',
      'ablate',
      'bench',
      'report',
      'tokenizer',
      'doctor',
    ])
    for (const command of program.commands.filter(({ commands }) => commands.length === 0)) {
      let help = ''
      command.configureOutput({ writeOut: (text) => (help += text) })
      command.outputHelp()
      expect(help, command.name()).toContain(`$ merge-lm ${command.name()}`)
    }
  })
})

describe('configuration files', () => {
  test('YAML and JSON mean the same; assignments come last', async () => {
    const yaml = file('run.yaml', 'data: { file: a.txt }\nfolder: out\nrecipe: { minutes: 2 }\n')
    const json = file('run.json', '{"data": {"file": "a.txt"}, "folder": "out", "recipe": {"minutes": 2}}')
    expect(await readRunConfig(yaml)).toEqual(await readRunConfig(json))
    const changed = await readRunConfig(yaml, [
      ['recipe.minutes', 3],
      ['model.layers', 5],
    ])
    expect(changed.recipe.minutes).toBe(3)
    expect(changed.model).toMatchObject({ layers: 5 })
  })

  test.each([
    ['a.toml', '', /^config: expected a \.json, \.yaml or \.yml file, received .*a\.toml$/],
    ['b.json', '{', /b\.json: expected JSON \(/],
    ['c.yaml', 'a: [1', /c\.yaml: expected YAML \(.* at line 1, column \d+\)$/],
    ['d.yaml', 'folder: out', /^data: expected an object, received nothing$/],
    ['e.json', '{"__proto__": {}, "data": {"file": "a"}, "folder": "b"}', /^__proto__: unknown key/],
  ])('%s is refused', async (name, content, message) => {
    await expect(readRunConfig(file(name, content))).rejects.toThrow(message)
  })

  test('a missing file', async () => {
    const error = readRunConfig(join(folder, 'none.yaml'))
    await expect(error).rejects.toThrow(/^config: expected a readable file, received .*none\.yaml$/)
    await expect(error).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })
})

describe('progress', () => {
  const line =
    'step 4  25 %  1:15 left  12.3k tokens/s  100 MiB  gate 50 %  loss 1.000 (recon 0.50 comp 0.400 ptr 0.300 gate 0.20 len 0.100)'

  test('a line', () => expect(progressLine(reportOf(3), 100 * 2 ** 20)).toBe(line))

  test('plain lines every five seconds, and the last state', () => {
    let clock = 0
    let written = ''
    const progress = showProgress({ stream: { write: (text) => (written += text) }, now: () => clock })
    for (let step = 0; step < 8; step++) {
      progress.report(reportOf(step))
      clock += 1000
    }
    progress.end()
    expect(written.match(/^step \d+/gm)).toEqual(['step 1', 'step 6', 'step 8'])
    expect(written).not.toContain('\u001b')
  })

  test('one live line, cut to the width of the terminal', () => {
    let clock = 0
    let written = ''
    const stream = { write: (text: string) => (written += text), isTTY: true, columns: 40 }
    const progress = showProgress({ stream, now: () => clock })
    progress.report(reportOf(0))
    progress.report(reportOf(1))
    clock = 150
    progress.report(reportOf(2))
    progress.end()
    const parts = written.split('\r\u001b[2K')
    expect(parts.map((part) => part.slice(0, 6))).toEqual(['', 'step 1', 'step 3'])
    expect(parts[1]).toHaveLength(39)
    expect(written.endsWith('\n')).toBe(true)
  })

  test('JSON lines hold the whole report', () => {
    let written = ''
    const progress = showProgress({ stream: { write: (text) => (written += text) }, style: 'json' })
    progress.report(reportOf(0))
    progress.end()
    expect(JSON.parse(written)).toMatchObject({ ...reportOf(0), memoryBytes: expect.any(Number) })
  })

  test('numbers as people read them', () => {
    expect([12, 1234, 2_500_000].map(count)).toEqual(['12', '1.2k', '2.5M'])
    expect([8, 75, 7201, Number.POSITIVE_INFINITY].map(duration)).toEqual(['0:08', '1:15', '2:00:01', '?'])
  })
})

describe('exit codes', () => {
  const fault = (code: string) => Object.assign(new Error(code), { code })

  test('each code of an error has one', () => {
    const codes = errorCodes.map((code) => [code, exitCodeOf(new MergeError(code, 'x'))])
    expect(Object.fromEntries(codes)).toEqual({
      ERR_CONFIG: 2,
      ERR_INPUT: 3,
      ERR_SHAPE: 3,
      ERR_DEVICE: 2,
      ERR_MEMORY: 8,
      ERR_NONFINITE: 6,
      ERR_CHECKPOINT: 4,
      ERR_DISPOSED: 1,
      ERR_ABORTED: 130,
      ERR_INTERNAL: 1,
    })
  })

  test('a full disk is 5, a missing file is what it is missing for', () => {
    expect(exitCodeOf(new MergeError('ERR_CHECKPOINT', 'x', { cause: fault('ENOSPC') }))).toBe(5)
    expect(exitCodeOf(new MergeError('ERR_CHECKPOINT', 'x', { cause: fault('ENOENT') }))).toBe(4)
    expect(exitCodeOf(new MergeError('ERR_INPUT', 'x', { cause: fault('EACCES') }))).toBe(5)
    expect(exitCodeOf(new MergeError('ERR_INPUT', 'x', { details: { output: 'a' } }))).toBe(5)
    expect(exitCodeOf(fault('EIO'))).toBe(5)
    expect(exitCodeOf(new Error('x'))).toBe(1)
  })

  test('the signal that stopped a run', () => {
    const stopped = (signal: string) => exitCodeOf(new MergeError('ERR_ABORTED', 'x', { details: { signal } }))
    expect(['SIGINT', 'SIGTERM', 'SIGHUP'].map(stopped)).toEqual([130, 143, 129])
  })

  test('one sentence; the stack only on request', () => {
    const error = new MergeError('ERR_INPUT', 'text: expected a string')
    expect(errorText(error, false)).toBe('merge-lm: ERR_INPUT: text: expected a string')
    expect(errorText(error, true)).toContain('\n    at ')
    expect(errorText(new TypeError('oops'), false)).toContain('internal error: oops')
  })
})
