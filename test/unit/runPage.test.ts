// The page of a run: what stands on it, that it parses, loads nothing, runs nothing, and that hostile text stays text.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { curve, shortNumber } from '../../src/cli/curve.js'
import { readHistory } from '../../src/cli/runHistory.js'
import { runPage } from '../../src/cli/runPage.js'
import { pageRenewal, writeRunPage } from '../../src/cli/writeRunPage.js'
import type { AblationReport } from '../../src/training/ablationReport.js'
import { spreadOf } from '../../src/training/ablationReport.js'
import { type Element, elementsOf } from './markupTree.js'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'page-'))
})

const hostile = '</pre><script>alert(1)</script> "&amp;" \u003c!--'

const line = (step: number, more: object = {}) => ({
  step,
  progress: step / 10,
  total: 10 / step,
  terms: { recon: 5 / step, gate: 0.5 },
  gateRate: 0.25,
  tokensPerSecond: 1234,
  seconds: step,
  secondsLeft: 3,
  ...more,
})

const samples = [
  {
    draft: hostile,
    result: 'b',
    target: 'b',
    lines: [
      [
        { kind: 'label', text: ' 1 gate ' },
        { kind: 'note', text: '0.90' },
      ],
      [
        { kind: 'kept', text: hostile },
        { kind: 'deleted', text: 'x<' },
        { kind: 'mask', text: '_' },
        { kind: 'filled', text: 'b' },
      ],
    ],
  },
  { draft: 'c', result: 'd', target: 'e' },
]

const metrics = (lines: readonly object[]) =>
  writeFile(join(folder, 'metrics.jsonl'), lines.map((one) => `${JSON.stringify(one)}\n`).join(''))

const figures = (exact: number | null) => ({
  ...{ exact, f05: 0.5, overCorrection: 0, deleterF1: null, rounds: 1, passes: 2 },
  ...{ tokensPerSecond: 1000, trainTokensPerSecond: 2000 },
})
const runOf = (seed: number, exact: number | null) => ({
  seed,
  folder: 'x',
  steps: 5,
  seconds: 1,
  parameters: 3,
  figures: figures(exact),
})
const study = (): AblationReport => {
  const runs = [runOf(0, 0.5), runOf(1, 0.6), runOf(2, 0.7)]
  const variant = { name: 'a', title: 'A <b>', changes: {}, runs, figures: spreadOf(runs) }
  return {
    ...{ format: 1, version: '0.1.0', command: 'merge-lm ablate', machine: 'a machine', budget: { steps: 5 } },
    ...{ seeds: [0, 1, 2], heldOut: 9, ablations: [{ name: 'gate', title: 'Gate', variants: [variant] }] },
  }
}

async function page(): Promise<{ html: string; elements: Element[]; has: (name: string, text: string) => boolean }> {
  const html = await readFile(await writeRunPage(folder), 'utf8')
  const elements = elementsOf(html)
  return {
    html,
    elements,
    has: (name, text) => elements.some((element) => element.name === name && element.text.includes(text)),
  }
}

describe('report.html', () => {
  test('has a curve of every number, the texts of the last evaluation, and the configuration', async () => {
    const evaluated = { evaluation: { exact: 0.5 }, samples: [{ draft: 'former', result: 'former' }] }
    await metrics([line(1), line(2, evaluated), line(3), line(4, { evaluation: { exact: null }, samples, best: 'x' })])
    await writeFile(join(folder, 'config.json'), '{ "folder": "<here>" }')
    const { elements, has, html } = await page()
    const captions = elements.filter(({ name }) => name === 'figcaption').map(({ text }) => text)
    expect(captions).toEqual([
      ...['total 2.5', 'recon 1.25', 'gate 0.5', 'exact 0.5', 'gateRate 0.25', 'tokensPerSecond 1.2k', 'seconds 4'],
    ])
    expect(elements.filter(({ name }) => name === 'polyline')).toHaveLength(captions.length)
    expect(has('h3', 'Text 1: exact') && has('h3', 'Text 2: not exact')).toBe(true)
    expect(has('del', 'x<') && has('ins', 'b')).toBe(true)
    expect(has('div', hostile)).toBe(true)
    expect(html).not.toContain('former')
    expect(has('pre', '{ "folder": "<here>" }')).toBe(true)
    expect(has('dd', 'step 4')).toBe(true)
  })

  test('runs no script and loads nothing, whatever a model wrote', async () => {
    await metrics([line(1, { samples })])
    const { elements, html } = await page()
    expect(elements.filter(({ name }) => ['script', 'link', 'img', 'iframe', 'a'].includes(name))).toEqual([])
    expect(html).not.toMatch(/https?:|url\(|@import|src=|href=/)
    expect(html).toContain(
      `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    )
  })

  test('says in words what a picture shows, has one h1, a language and a title', async () => {
    await metrics([line(1), line(2)])
    const { elements } = await page()
    const pictures = elements.filter(({ name }) => name === 'svg')
    expect(pictures.map(({ attributes }) => attributes.role)).toEqual(pictures.map(() => 'img'))
    expect(pictures[0]?.attributes['aria-label']).toBe('total: 10 at step 1, 5 at step 2')
    expect(elements.filter(({ name }) => name === 'h1')).toHaveLength(1)
    expect(elements.find(({ name }) => name === 'html')?.attributes.lang).toBe('en')
    expect(elements.find(({ name }) => name === 'title')?.text).toMatch(/^page-\w+: a merge-lm run$/)
  })

  test('shows the table of a study, its own or that of the run', async () => {
    await writeFile(join(folder, 'ablations.json'), JSON.stringify(study()))
    const { elements, has } = await page()
    expect(has('p', '5 steps of training each, 9 held-out examples, seeds 0, 1, 2: mean (standard deviation)')).toBe(
      true,
    )
    expect(has('th', 'A <b>')).toBe(true)
    const cells = elements.filter(({ name }) => name === 'td').map(({ text }) => text)
    expect(cells).toEqual([
      '60.0 (10.0)',
      '50.0 (0.0)',
      '0.0 (0.0)',
      '-',
      '1.00 (0.00)',
      '2.00 (0.00)',
      '1.0k (0)',
      '2.0k (0)',
      '5',
    ])
  })

  test('a line that a killed process left unfinished is the end', async () => {
    await writeFile(join(folder, 'metrics.jsonl'), `${JSON.stringify(line(1))}\n{"step":2,"tot`)
    expect((await readHistory(folder)).last?.step).toBe(1)
  })

  test('is renewed no more often than its reading allows', async () => {
    let time = 0
    const renew = pageRenewal(folder, () => (time += 100))
    const isNew = async () => {
      await rm(join(folder, 'report.html'), { force: true })
      await renew()
      return (await readdir(folder)).includes('report.html')
    }
    await metrics([line(1)])
    expect(await isNew()).toBe(true)
    expect(await isNew()).toBe(false)
    time += 10_000
    expect(await isNew()).toBe(true)
  })

  test('a folder that holds nothing is refused, and so is a study that is none', async () => {
    await expect(writeRunPage(folder)).rejects.toMatchObject({
      code: 'ERR_INPUT',
      message: `run: expected a folder with metrics.jsonl or ablations.json, received ${folder}`,
    })
    await writeFile(join(folder, 'ablations.json'), '{}')
    await expect(writeRunPage(folder)).rejects.toThrow('expected what merge-lm ablate writes')
  })

  test('a page without anything parses', () => {
    expect(elementsOf(runPage({ title: 'a', history: { series: new Map() } })).length).toBeGreaterThan(5)
  })
})

describe('a curve', () => {
  const points = (svg: string): [number, number][] => {
    const [, text = ''] = /<polyline class="line" points="([^"]*)"/.exec(svg) ?? []
    return text.split(' ').map((pair) => {
      const [x = 0, y = 0] = pair.split(',').map(Number)
      return [x, y]
    })
  }

  test('goes from left to right, higher for more, and stays in its frame', () => {
    const found = points(curve('x', { steps: [1, 2, 3], values: [5, 1, 3] }))
    expect(found.map(([x]) => x)).toEqual([44, 177, 310])
    const [[, first], [, second], [, third]] = [found[0] ?? [0, 0], found[1] ?? [0, 0], found[2] ?? [0, 0]]
    expect(first).toBeLessThan(third)
    expect(third).toBeLessThan(second)
    for (const [, y] of found) expect(y >= 8 && y <= 128, String(y)).toBe(true)
  })

  test('many steps become 200 points: their means, in a band of their range', () => {
    const values = Array.from({ length: 10_000 }, (_, index) => (index % 2 === 0 ? 1 : -1))
    const svg = curve('x', { steps: values.map((_, index) => index + 1), values })
    expect(points(svg)).toHaveLength(200)
    expect(new Set(points(svg).map(([, y]) => y)).size).toBe(1)
    const [, band = ''] = /<polygon class="band" points="([^"]*)"/.exec(svg) ?? []
    expect(new Set(band.split(' ').map((pair) => pair.split(',')[1])).size).toBe(2)
    expect(svg).not.toContain('<circle')
  })

  test.each([
    ['one point', [3], [0.5]],
    ['a constant', [1, 2], [7, 7]],
    ['zero', [1, 2], [0, 0]],
    ['tiny numbers', [1, 2], [1e-9, 3e-9]],
  ])('%s gives a picture without NaN', (_, steps, values) => {
    const svg = curve('a "name" <b>', { steps, values })
    expect(svg).not.toMatch(/NaN|Infinity/)
    expect(elementsOf(svg).filter(({ name }) => name === 'polyline')).toHaveLength(1)
  })

  test('nothing to show gives nothing', () => expect(curve('x', { steps: [], values: [] })).toBe(''))

  test('numbers as people read them', () => {
    const values = [0, 0.1 + 0.2, -0.5, 12_345, -2_500_000, 3e-5, 0.00012]
    expect(values.map(shortNumber)).toEqual(['0', '0.3', '-0.5', '12.3k', '-2.5M', '3e-5', '1.2e-4'])
  })
})
