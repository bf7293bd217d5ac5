// The benchmark without a model: statistics, turns, the file, tables, figures, the classical and the plain twins.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type BenchReport, type BenchResult, benchReport, resultOf } from '../../src/bench/benchReport.js'
import { benchSize } from '../../src/bench/benchSize.js'
import { draftsOf } from '../../src/bench/families.js'
import { resultsOf } from '../../src/bench/inferenceResults.js'
import { sharesOf } from '../../src/bench/opShares.js'
import { missingModules } from '../../src/bench/peerProcess.js'
import { alignmentPairs, matched, plainMatches } from '../../src/bench/plainAlignment.js'
import { middleOf, pairedRatio, quantile } from '../../src/bench/quantiles.js'
import { textScores } from '../../src/bench/textScores.js'
import { inTurns, type Work } from '../../src/bench/turns.js'
import { benchPage } from '../../src/cli/benchPage.js'
import { benchMarkdown, benchTables } from '../../src/cli/benchTable.js'
import { readRunConfig } from '../../src/cli/configFile.js'
import { withMeasured } from '../../src/cli/measuredPart.js'
import { alignTokens } from '../../src/text/alignment.js'
import { elementsOf } from './markupTree.js'

describe('statistics', () => {
  test('quantiles lie straight between neighbours', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5)
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20)
    expect(quantile([7], 0.75)).toBe(7)
    expect(quantile([], 0.5)).toBeNaN()
    expect(middleOf([1, 2, 3, 4, 100])).toEqual({ median: 3, low: 2, high: 4, samples: 5 })
  })

  test('a load that slows both of a pair leaves their ratio alone', () => {
    expect(pairedRatio([20, 200, 40], [10, 100, 20]).median).toBe(2)
    expect(middleOf([20, 200, 40]).median / middleOf([10, 15, 100]).median).not.toBe(2)
  })
})

describe('turns', () => {
  function scene(costs: Readonly<Record<string, number>>) {
    let clock = 0
    const order: string[] = []
    const contenders = Object.entries(costs).map(([name, cost]) => ({
      name,
      async run(): Promise<Work> {
        order.push(name)
        clock += order.length <= 2 ? 1000 : cost
        return { tokens: 8, ...(name === 'peer' ? { seconds: 0.5, peakMemoryMb: 3 } : {}) }
      },
    }))
    return { order, contenders, now: () => clock }
  }
  const signal = new AbortController().signal

  test('the first call warms up; every other turn goes backwards', async () => {
    const { order, contenders, now } = scene({ a: 10, b: 20 })
    const taken = await inTurns(contenders, { samples: 3, seconds: 60, signal, now })
    expect(order.join('')).toBe('ab' + 'ab' + 'ba' + 'ab')
    expect(taken.map(({ times }) => times)).toEqual([
      [10, 10, 10],
      [20, 20, 20],
    ])
  })

  test('time ends it, but two calls count at least; a peer counts its own seconds', async () => {
    const { contenders, now } = scene({ a: 5000, peer: 5000 })
    const [ours, theirs] = await inTurns(contenders, { samples: 9, seconds: 1, signal, now })
    expect(ours?.times).toHaveLength(2)
    expect(theirs?.times).toEqual([500, 500])
    expect(theirs?.peakMemoryMb).toBe(3)
  })

  test('an abort ends it before the next call', async () => {
    const { contenders, now } = scene({ a: 1 })
    await expect(inTurns(contenders, { samples: 3, seconds: 1, signal: AbortSignal.abort('no'), now })).rejects.toBe(
      'no',
    )
  })
})

const facts = { size: benchSize('small'), dtype: 'float32', batch: 4, threads: 2 } as const
const contender = (family: string, peer: string | null, measure?: string) => ({
  ...{ name: family, family, case: `edit <64> tokens`, peer, run: async () => ({ tokens: 1 }) },
  ...(measure === undefined ? {} : { measure }),
})
const inference = (['MERGE', 'GPT', 'GPT'] as const).map((family, index) => ({
  contender: contender(family, index === 2 ? 'other' : null, index === 1 ? 'timesGpt' : undefined),
  work: { tokens: 100, ...(index === 0 ? { rounds: 2, passes: 4 } : {}) },
  times:
    [
      [10, 20, 30],
      [20, 40, 60],
      [40, 80, 120],
    ][index] ?? [],
  peakMemoryMb: 12.4,
  shares: index === 0 ? { outsideShare: 0.25 } : {},
}))
const results: BenchResult[] = [
  ...resultsOf(inference, facts),
  resultOf({
    suite: 'inference',
    family: 'GPT',
    size: 'small',
    case: 'x: missing, as python3 has no torch',
    peer: 'HF',
    batch: 4,
    dtype: 'float32',
  }),
  resultOf({
    ...{ suite: 'ops', case: 'forward', family: 'rope', size: 'small', latencyMs: 1, threads: 2 },
    figures: { referenceMs: 2, timesReference: 2, timesReferenceLow: 1.5, timesReferenceHigh: 2.5 },
  }),
  resultOf({
    suite: 'quality',
    case: 'no network',
    family: 'rules',
    size: 'small',
    figures: { exact: 0.5, f05: null },
  }),
  resultOf({ suite: 'training', case: 'a step', family: 'GPT', size: 'small', latencyMs: 3, tokensPerSecond: 10 }),
]
const report: BenchReport = {
  machine: { processor: 'P', cores: 2, memoryGb: 8, system: 'Linux', load: 0 },
  versions: { 'merge-lm': '0.1.0' },
  commit: 'c0ffee',
  results,
}

test('shares of a call: ops that are neither matrices nor attention, the largest first', () => {
  const found = {
    gemm: [9, 50],
    attention: [1, 20],
    'aten::a': [1, 1],
    'aten::b': [1, 4],
    'aten::c': [1, 3],
    'aten::d': [1, 2],
    'aten::e': [1, 0.5],
    'aten::f': [1, 0.1],
  }
  expect(sharesOf(found, 100)).toEqual({
    ...{ gemmShare: 0.5, attentionShare: 0.2, outsideShare: 0.3 },
    ...{ 'share aten::b': 0.04, 'share aten::c': 0.03, 'share aten::d': 0.02, 'share aten::a': 0.01 },
    'share aten::e': 0.005,
  })
})

describe('the file', () => {
  test('every result has every key', () => {
    const keys = [
      ...['suite', 'case', 'family', 'size', 'batch', 'dtype', 'threads', 'tokensPerSecond', 'latencyMs', 'rounds'],
      ...['passes', 'peakMemoryMb', 'spread', 'peer'],
    ]
    for (const result of results) expect(Object.keys(result).filter((key) => key !== 'figures')).toEqual(keys)
    expect(benchReport.parse(JSON.parse(JSON.stringify(report)))).toEqual(report)
    expect(benchReport.safeParse({ ...report, more: 1 }).success).toBe(false)
  })

  test('a result from turns: speed by the median, ratios pair by pair', () => {
    expect(results[0]).toMatchObject({ tokensPerSecond: 5000, latencyMs: 20, rounds: 2, passes: 4, peakMemoryMb: 12 })
    expect(results[0]?.spread).toEqual({ low: 15, high: 25, samples: 3 })
    expect(results.slice(0, 3).map(({ figures }) => figures)).toEqual([
      { timesGpt: 2, outsideShare: 0.25 },
      { timesGpt: 1 },
      { timesGpt: 0.5 },
    ])
  })
})

describe('tables', () => {
  test('a row for each contender, missing peers below', () => {
    const tables = benchTables(report)
    expect(tables.map(({ suite }) => suite)).toEqual(['inference', 'ops', 'quality', 'training'])
    const text = benchMarkdown(report, tables.slice(0, 1)).split('\n')
    expect(text[0]).toBe('P, 2 cores, 8 GB, Linux, load 0 before; merge-lm 0.1.0; commit c0ffee.')
    expect(text.slice(4, 9)).toEqual([
      '| family | a call | rounds | passes | outside, % | MiB | batch 4 |',
      '|---|---:|---:|---:|---:|---:|---:|',
      '| MERGE | edit <64> tokens | 2 | 4 | 25.0 | 12 | 5.0k (15 to 25 ms; 2x) |',
      '| GPT | edit <64> tokens | - | - | - | 12 | 2.5k (30 to 50 ms; 1x) |',
      '| GPT: other | edit <64> tokens | - | - | - | 12 | 1.3k (60 to 100 ms; 0.5x) |',
    ])
    expect(text.at(-1)).toBe('Missing: HF (python3 has no torch).')
  })

  test('a page without script, whose figures and tables are well formed', () => {
    const page = benchPage({ ...report, results: [...results, ...results.map((each) => ({ ...each, batch: 16 }))] })
    const elements = elementsOf(page)
    const names = new Set(elements.map(({ name }) => name))
    for (const name of ['svg', 'polyline', 'rect', 'table']) expect(names, name).toContain(name)
    expect(names).not.toContain('script')
    expect(page).toContain('edit &lt;64&gt; tokens')
    expect(page).not.toContain('NaN')
  })

  test('a part of a Markdown file is put in place of the old one', () => {
    const part = { name: 'a', command: 'run', markdown: 'new', heading: '## A' }
    const fresh = withMeasured('# T\n', part)
    expect(fresh).toBe('# T\n\n## A\n\n<!-- measured: a -->\n\n```sh\nrun\n```\n\nnew\n\n<!-- /measured: a -->\n')
    expect(withMeasured(`${fresh}rest\n`, { ...part, markdown: 'newer' })).toBe(
      `${fresh.replace('\nnew\n', '\nnewer\n')}rest\n`,
    )
  })
})

describe('twins and drafts', () => {
  test('the plain alignment finds as much as the oracle', () => {
    for (const symbols of [4, 60]) {
      for (const { x, y } of alignmentPairs({ rows: 20, length: 30, symbols, changed: 0.3 })) {
        expect(x).toHaveLength(30)
        expect(matched(plainMatches(x, y))).toBe(matched(alignTokens(x, y)))
      }
    }
  })

  test('drafts are the same for everyone, and no special token is among them', () => {
    const drafts = draftsOf(benchSize('small', 20), 3)
    expect(drafts).toEqual(draftsOf(benchSize('small', 20), 3))
    expect(drafts.map(({ length }) => length)).toEqual([20, 20, 20])
    expect(Math.min(...drafts.flatMap((draft) => [...draft]))).toBeGreaterThanOrEqual(5)
  })

  test('the small size is the shipped configuration', async () => {
    const { model } = await readRunConfig('examples/quickstart/config.yaml')
    const { merge, layers, width, heads, feedForward } = benchSize('small')
    expect(model).toMatchObject({ layers, width, heads, feedForward, ...merge })
  })

  test('a Python without the modules is said to have none of them', () => {
    expect(missingModules(['json'], '/nowhere/python')).toBe('/nowhere/python cannot be run')
    expect(missingModules(['json', 'no_such_module'])).toMatch(/no_such_module|cannot be run/)
  })

  test('every op with a reference is timed', () => {
    const timed = readFileSync('native/op_timing.cc', 'utf8')
    // What has kernels for a GPU alone is its reference here.
    const headers = readdirSync('native/ops').filter((name) => {
      return name.endsWith('.h') && !/^edit_/.test(name)
    })
    const ops = headers.flatMap((name) => [
      ...readFileSync(`native/ops/${name}`, 'utf8').matchAll(/(\w+_reference)\(/g),
    ])
    expect(ops.length).toBeGreaterThan(9)
    expect(ops.map(([, op = '']) => op).filter((op) => !timed.includes(`ops::${op}(`))).toEqual([])
  })

  test('what the peers need is listed', () => {
    const listed = readFileSync('bench/peers/requirements.txt', 'utf8')
    for (const name of ['torch', 'transformers', 'safetensors', 'onnx', 'onnxscript'])
      expect(listed).toMatch(new RegExp(`^${name}==`, 'm'))
  })
})

describe('quality', () => {
  const judged = { source: 'the cat', target: 'The cat.', result: 'The cat.', again: 'The cat.' }

  test('a perfect edit, one that does nothing, and one that spoils a finished text', async () => {
    expect(await textScores([judged])).toEqual({ exact: 1, f05: 1, overCorrection: 0, fillAccuracy: 1 })
    expect(await textScores([{ ...judged, result: 'the cat' }])).toMatchObject({ exact: 0, f05: 0, fillAccuracy: null })
    // Of T and !, the first is right.
    expect(await textScores([{ ...judged, result: 'The cat!', again: 'the cat' }])).toMatchObject({
      ...{ exact: 0, overCorrection: 1, fillAccuracy: 0.5 },
    })
  })

  test('nothing at all', async () => {
    expect(await textScores([])).toEqual({ exact: null, f05: null, overCorrection: null, fillAccuracy: null })
  })
})
