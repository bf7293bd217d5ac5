// merge-lm bench on short rows: a file that its schema accepts, tables, a page, and what is refused.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { benchReport } from '../../src/bench/benchReport.js'
import { editors } from '../../src/bench/editors.js'
import { families } from '../../src/bench/families.js'
import { learners } from '../../src/bench/learners.js'
import { timedOps } from '../../src/bench/opTiming.js'
import { runCommand, tinyRun, tinySentences } from './commandChild.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-bench-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: string[]) => runCommand(['bench', ...args], { cwd: folder })
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

test('ops and inference: every op and every family, once', { timeout: 60_000 }, async () => {
  const outputs = ['--json', 'bench.json', '--html', 'bench.html', '--markdown', 'docs/bench.md']
  const { code, errors, output } = await run('--suite', 'ops,inference', '--quick', '--threads', '1', ...outputs)
  expect(code, errors).toBe(0)
  const report = benchReport.parse(JSON.parse(read('bench.json')))
  const of = (suite: string) => report.results.filter((result) => result.suite === suite)
  expect(new Set(of('ops').map(({ family }) => family))).toEqual(
    new Set([...timedOps.map(([op]) => op), 'edit oracle']),
  )
  const asked = of('inference').filter(
    ({ batch, case: name }) => batch === 1 && name.match(/^(one pass|life)/) === null,
  )
  expect(asked.map(({ family }) => family)).toEqual(families.map(({ name }) => name))
  for (const { figures = {} } of asked) {
    expect(figures.gemmShare).toBeGreaterThan(0)
    expect((figures.gemmShare ?? 0) + (figures.attentionShare ?? 0) + (figures.outsideShare ?? 0)).toBeCloseTo(1, 2)
  }
  for (const result of report.results) {
    expect(result.latencyMs, result.case).toBeGreaterThan(0)
    if (!result.case.startsWith('life')) expect(result.tokensPerSecond, result.case).toBeGreaterThan(0)
    expect(result.threads).toBe(1)
  }
  expect(report.versions).toMatchObject({ 'merge-lm': expect.any(String), libtorch: expect.any(String) })
  expect(read('docs/bench.md')).toContain('npx merge-lm bench --suite ops --size small --quick --threads 1')
  expect(read('docs/bench.md').match(/<!-- measured: bench (ops|inference) small -->/g)).toHaveLength(2)
  expect(output).toContain('| GPT |')
  expect(read('bench.html')).toContain('<svg')
})

test('training: each family takes steps; a peer that is missing is said to be missing', {
  timeout: 60_000,
}, async () => {
  const flags = ['--suite', 'training', '--quick', '--threads', '1', '--peers', '--json', 'training.json']
  const python = join(folder, 'no-python')
  const { code, errors, output } = await runCommand(['bench', ...flags], {
    cwd: folder,
    env: { MERGE_LM_BENCH_PYTHON: python },
  })
  expect(code, errors).toBe(0)
  const { results } = benchReport.parse(JSON.parse(read('training.json')))
  const there = results.filter(({ latencyMs }) => latencyMs !== null)
  expect(there.map(({ family }) => family)).toEqual(learners.map(({ name }) => name))
  expect(results.at(-1)).toMatchObject({ peer: 'PyTorch eager', latencyMs: null, tokensPerSecond: null })
  expect(output).toContain(`Missing: PyTorch eager (${python} cannot be run).`)
})

test('quality: each family is trained and judged, and the rules beside them', { timeout: 60_000 }, async () => {
  writeFileSync(join(folder, 'sentences.txt'), tinySentences)
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...tinyRun, heldOut: 2 }))
  const flags = ['--suite', 'quality', '--config', 'run.json', '--budget', '2steps', '--threads', '1']
  const { code, errors, output } = await run(...flags, '--json', 'quality.json')
  expect(code, errors).toBe(0)
  const { results } = benchReport.parse(JSON.parse(read('quality.json')))
  const rules = ['do nothing', 'capital and full stop', 'rules with four tables']
  expect(results.map(({ family }) => family)).toEqual([...editors.map(({ name }) => name), ...rules])
  for (const { figures = {}, family } of results) {
    for (const name of ['exact', 'overCorrection']) {
      expect(figures[name], family).toBeGreaterThanOrEqual(0)
      expect(figures[name], family).toBeLessThanOrEqual(1)
    }
    if (!rules.includes(family)) expect(figures, family).toMatchObject({ steps: 2, parameters: expect.any(Number) })
  }
  expect(output).toContain('| do nothing |')
})

test('what is refused', async () => {
  const refused = await run('--suite', 'speed')
  expect(refused.code).toBe(2)
  expect(refused.errors).toContain('suite[0]: expected "ops" or')
  expect((await run('--tokens', '3')).errors).toContain('tokens: expected a whole number 16..32768, received 3')
  expect((await run('--suite', 'quality', '--config', 'none.yaml')).code).toBe(2)
})
