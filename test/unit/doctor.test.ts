// doctor: what it says about a machine where everything, or nothing, is there.
import { describe, expect, test } from 'vitest'
import type { Machine } from '../../scripts/libtorch.mjs'
import { inspectTools } from '../../scripts/toolchain.mjs'
import { doctor, renderDoctor } from '../../src/cli/doctor.js'

const bare: Machine = {
  env: { XDG_CACHE_HOME: '/nowhere', CXX: 'no-compiler', OMP_NUM_THREADS: '1' },
  home: '/nowhere',
  platform: 'linux-x64',
  say: () => undefined,
  run: () => ({ ok: false, stdout: '', stderr: 'not found' }),
}

function answering(answers: Readonly<Record<string, string>>): Machine {
  return {
    ...bare,
    env: {},
    run: (command, args) => {
      const stdout = answers[[command, ...args].join(' ')]
      return { ok: stdout !== undefined, stdout: stdout ?? '', stderr: '' }
    },
  }
}

describe('doctor', () => {
  test('each thing that is missing comes with what to do', async () => {
    const report = await doctor(bare)
    const compiler = report.checks.find(({ name }) => name === 'C++ compiler')
    expect(compiler?.found).toBe('no-compiler does not run')
    expect(compiler?.mend).toContain('g++ 12')
    const libtorch = report.checks.filter(({ name }) => name === 'libtorch')
    expect(libtorch.map(({ found }) => found)).toEqual([
      'MERGE_LM_LIBTORCH: not set',
      'active Python: python3 does not run',
      'package cache /nowhere/merge-lm/libtorch: empty',
    ])
    expect(libtorch.at(-1)?.mend).toContain('npm run build')
    for (const { name, status, mend } of report.checks) {
      if (status === 'fail') expect(mend, name).toBeTruthy()
    }
    expect(report.checks.find(({ name }) => name === 'Threads')?.found).toContain('OMP_NUM_THREADS=1')
  })

  test('another platform fails', async () => {
    const report = await doctor({ ...bare, platform: 'darwin-arm64' })
    expect(report.healthy).toBe(false)
    expect(report.checks.find(({ name }) => name === 'Platform')).toMatchObject({ status: 'fail' })
  })

  test('the text has one line a check, the mend below it, and a verdict', () => {
    const text = renderDoctor({
      healthy: false,
      checks: [
        { name: 'Node.js', status: 'ok', found: '22.1.0' },
        { name: 'CMake', status: 'fail', found: 'cmake does not run', mend: 'install it' },
      ],
    })
    expect(text.split('\n')).toEqual([
      'ok    Node.js  22.1.0',
      'fail  CMake    cmake does not run',
      '               -> install it',
      '',
      '1 of 2 checks failed.',
    ])
  })
})

describe('tools', () => {
  const problems = (machine: Machine) =>
    inspectTools(machine).flatMap(({ problem }) => (problem === undefined ? [] : [problem]))

  const good = {
    'g++ -dumpfullversion -dumpversion': '12.2.0\n',
    'g++ --version': 'g++ (Debian 12.2.0)',
    'cmake --version': 'cmake version 3.25.1\n',
    'make --version': 'GNU Make 4.3',
    'python3 -m pip --version': 'pip 23.2',
    'python3 --version': 'Python 3.11.2\n',
  }

  test('all there', () => {
    expect(problems(answering(good))).toEqual([])
    expect(inspectTools(answering(good)).map(({ version }) => version)).toEqual([
      'g++ 12.2.0',
      '3.25.1',
      'make 4.3',
      '3.11.2',
    ])
  })

  test('too old', () => {
    const old = { ...good, 'g++ -dumpfullversion -dumpversion': '11.4.0', 'cmake --version': 'cmake version 3.16.3' }
    expect(problems(answering(old))).toEqual([
      'g++: expected version 12 or newer, received 11.4.0',
      'cmake: expected version 3.18 or newer, received 3.16.3',
    ])
  })

  test('none', () => {
    expect(inspectTools(bare).map(({ mend }) => mend !== undefined)).toEqual([true, true, true, true])
  })
})
