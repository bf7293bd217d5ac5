// The quickstart in seconds instead of minutes: it runs to its end and leaves what it promises.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCommand } from './commandChild.js'

const program = resolve(import.meta.dirname, '../../build/examples/quickstart/quickstart.js')

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-quickstart-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a short quickstart: figures, report, traces, a model that edits', async () => {
  const args = [program, '--minutes', '0.1', '--seed', '5']
  const done = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 240_000 })
  expect(done.status, done.stderr).toBe(0)

  const summary = JSON.parse(readFileSync(join(folder, 'runs/quickstart/summary.json'), 'utf8'))
  const shares = [
    'exact',
    'exactNothing',
    'exactCapital',
    'exactRules',
    'exactStripped',
    'cleanDamaged',
    'outsideShare',
  ]
  for (const name of shares) {
    expect(summary[name], name).toBeGreaterThanOrEqual(0)
    expect(summary[name], name).toBeLessThanOrEqual(1)
  }
  expect(summary.exactRules).toBeGreaterThan(summary.exactNothing)
  expect(summary.meanRounds).toBeGreaterThanOrEqual(1)
  expect(summary.trainSeconds).toBeGreaterThan(5)
  expect(summary.tokensPerSecond).toBeGreaterThan(100)
  expect(summary.parameters).toBeGreaterThan(100_000)
  expect(summary.seed).toBe(5)

  const report = readFileSync(join(folder, 'runs/quickstart/report.txt'), 'utf8')
  expect(done.stdout).toContain(report.trim().split('\n').at(-1))
  expect(report.match(/^ {3}draft /gm)).toHaveLength(22)
  expect(report).not.toContain('\u001b')
  const edited = await runCommand(['edit', '-m', 'runs/quickstart/model', 'the union is strong'], { cwd: folder })
  expect(edited.code, edited.errors).toBe(0)
})
