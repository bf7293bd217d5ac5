// What a run of the built command leaves behind: event files, report.html, the best checkpoint; studies that go on.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { numbersOf } from '../../src/training/report.js'
import { recordsOf } from '../../src/training/tfRecord.js'
import { elementsOf } from '../unit/markupTree.js'
import { runCommand, tinyRun, tinySentences } from './commandChild.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-run-'))
  writeFileSync(join(folder, 'sentences.txt'), tinySentences)
  const recipe = { ...tinyRun.recipe, steps: 8, evaluateEvery: 2, keep: 1, best: { metric: 'exact' } }
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...tinyRun, heldOut: 1, recipe }))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function command(...args: string[]) {
  const ending = await runCommand(args, { cwd: folder })
  expect(ending.code, ending.errors).toBe(0)
  return ending
}

const read = (path: string): string => readFileSync(join(folder, path), 'utf8')
const jsonLines = (path: string) =>
  read(path)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

/** Fields of a protocol buffer: numbers of varints, bytes of everything else. */
function fieldsOf(bytes: Buffer): [field: number, value: number | Buffer][] {
  const fields: [number, number | Buffer][] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const key = varint()
    const type = key & 7
    if (type === 0) {
      fields.push([key >> 3, varint()])
      continue
    }
    const length = type === 1 ? 8 : type === 5 ? 4 : varint()
    fields.push([key >> 3, bytes.subarray(at, at + length)])
    at += length
  }
  return fields
}

/** Every scalar of a run's event files: step, tag, value. */
function scalarsOf(run: string): [number, string, number][] {
  const place = join(folder, run, 'tensorboard')
  const events = readdirSync(place)
    .sort()
    .flatMap((name) => [...recordsOf(readFileSync(join(place, name)))])
  return events.flatMap((event) => {
    const fields = fieldsOf(event)
    const step = Number(fields.find(([field]) => field === 2)?.[1] ?? 0)
    const [, summary] = fields.find(([field]) => field === 5) ?? []
    if (!Buffer.isBuffer(summary)) return []
    return fieldsOf(summary).flatMap(([, value]): [number, string, number][] => {
      if (!Buffer.isBuffer(value)) return []
      const inside = new Map(fieldsOf(value))
      const number = inside.get(2)
      return Buffer.isBuffer(number) ? [[step, String(inside.get(1)), number.readFloatLE(0)]] : []
    })
  })
}

/** What metrics.jsonl says, in the same form. */
const numbersIn = (run: string) =>
  jsonLines(`${run}/metrics.jsonl`).flatMap((line) =>
    Object.entries(numbersOf(line)).map(([tag, value]) => [line.step, tag, Math.fround(value)]),
  )

describe('train', () => {
  test('event files say what metrics.jsonl says, also of a run that was stopped and went on', async () => {
    const signals = [{ after: /^step 2:/m, signal: 'SIGINT' }] as const
    const long = ['--steps', '100000', '--folder', 'out']
    expect((await runCommand(['train', 'run.json', ...long], { cwd: folder, signals })).code).toBe(130)
    const stopped = jsonLines('out/metrics.jsonl').length
    await command('train', 'run.json', '--resume', '--steps', String(stopped + 4))
    expect(jsonLines('out/metrics.jsonl')).toHaveLength(stopped + 4)
    expect(readdirSync(join(folder, 'out/tensorboard'))).toHaveLength(2)
    expect(scalarsOf('out')).toEqual(numbersIn('out'))
    expect(scalarsOf('out').length).toBeGreaterThan(20 * stopped)
  })

  test('report.html parses and has every curve and the texts; the command writes it again', async () => {
    await command('train', 'run.json', '--overwrite')
    const elements = elementsOf(read('out/report.html'))
    const captions = elements.filter(({ name }) => name === 'figcaption').map(({ text }) => text.split(' ')[0])
    const terms = ['total', 'recon', 'compression', 'pointer', 'gate', 'length']
    expect(captions).toEqual(expect.arrayContaining([...terms, 'exact', 'gateRate', 'keepRate', 'learningRate']))
    expect(elements.filter(({ name }) => name === 'polyline')).toHaveLength(captions.length)
    expect(elements.filter(({ attributes }) => attributes.class === 'trace')).toHaveLength(1)
    const before = read('out/report.html')
    rmSync(join(folder, 'out/report.html'))
    expect((await command('report', 'out')).output).toBe('out/report.html\n')
    expect(read('out/report.html')).toBe(before)
    expect((await runCommand(['report', '.'], { cwd: folder })).code).toBe(3)
  })

  test('the best checkpoint outlives rotation, and is a model', async () => {
    expect(readdirSync(join(folder, 'out/checkpoints')).sort()).toEqual(['best', 'step-8'])
    const { best } = JSON.parse(read('out/checkpoints/step-8/trainer.json'))
    const evaluated = jsonLines('out/metrics.jsonl').filter(({ evaluation }) => evaluation !== undefined)
    expect(best.value).toBe(Math.max(...evaluated.map(({ evaluation }) => evaluation.exact)))
    await command('edit', '-m', 'out/checkpoints/best', 'a fox')
    const wrong = ['--set', 'recipe.best.metric=exakt', '--folder', 'wrong']
    const { code, errors } = await runCommand(['train', 'run.json', ...wrong], { cwd: folder })
    expect(code).toBe(2)
    expect(errors).toContain('recipe.best.metric: expected one of exact, exactNothing, cleanDamaged, meanRounds')
  })
})

describe('ablate', () => {
  const args = ['ablate', 'run.json', '--only', 'gate', '--seeds', '2', '--threads', '1']
  const results = (study: string) =>
    readdirSync(join(folder, study, 'runs')).map(
      (name) => statSync(join(folder, study, 'runs', name, 'result.json')).mtimeMs,
    )

  test('writes one JSON and one table; asked again, it trains nothing', async () => {
    const first = await command(...args, '--budget', '3steps', '--markdown', 'results.md', '--json', 'copy.json')
    expect(first.output).toMatch(/^3 steps of training each, 1 held-out examples, seeds 0, 1/)
    expect(first.output).toMatch(/^\| always generate \| \d+\.\d \(\d+\.\d\) \| .* \| 3 \|$/m)
    expect(first.errors).toContain('gate: always edit, seed 1 (5 of 6)')
    const times = results('out/ablations')
    expect(times).toHaveLength(6)
    const markdown = read('results.md')
    writeFileSync(join(folder, 'results.md'), `${markdown.replace('(3', '(9')}\nMine.\n`)
    const second = await command(...args, '--budget', '3steps', '--markdown', 'results.md')
    expect(second.output).toBe(first.output)
    expect(second.errors).toBe('')
    expect(results('out/ablations')).toEqual(times)
    expect(read('results.md')).toContain(
      'npx merge-lm ablate run.json --only gate --budget 3steps --seeds 2 --threads 1',
    )
    expect(read('results.md')).toContain(first.output.trim())
    expect(read('results.md')).toMatch(/\nMine\.\n$/)
    expect(JSON.parse(read('copy.json'))).toEqual(JSON.parse(read('out/ablations/ablations.json')))
    await command('report', 'out')
    expect(elementsOf(read('out/report.html')).some(({ name, text }) => name === 'th' && text === 'always edit')).toBe(
      true,
    )
  })

  test('Ctrl-C in the middle saves; the same command goes on from there', async () => {
    const length = ['--budget', '400steps', '--seeds', '1', '--set', 'recipe.saveEvery=0']
    const study = [...args, '--out', 'study', ...length]
    const signals = [{ after: /always edit, seed 0[\s\S]*^step \d+/m, signal: 'SIGINT' }] as const
    const stopped = await runCommand(study, { cwd: folder, signals })
    expect(stopped.code, stopped.errors).toBe(130)
    const [, at = ''] = /stopped by SIGINT after step (\d+); saved \S+/.exec(stopped.errors) ?? []
    expect(at, stopped.errors).not.toBe('')
    const done = JSON.parse(read('study/ablations.json'))
    expect(done.ablations[0].variants[0].runs).toHaveLength(1)
    const again = await command(...study)
    expect(again.errors).not.toContain('as configured, seed 0')
    expect(again.errors).toContain('always edit, seed 0')
    const { ablations } = JSON.parse(read('study/ablations.json'))
    const run = ablations[1].variants[1].runs[0]
    const steps = jsonLines(`study/${run.folder}/metrics.jsonl`).map(({ step }) => step)
    expect(steps).toEqual(Array.from({ length: 400 }, (_, index) => index + 1))
    expect(Number(at)).toBeLessThan(400)
    expect(
      ablations.flatMap(({ variants }: { variants: { runs: unknown[] }[] }) => variants.map(({ runs }) => runs.length)),
    ).toEqual([1, 1, 1, 1])
  })

  test.each([
    [['--only', 'gat'], 'only: expected names among gate, insert-only'],
    [['--seeds', '0'], 'seeds: expected a whole number 1..100, received 0'],
    [['--set', 'heldOut=0'], 'heldOut: expected examples to measure on, received 0'],
    [['--budget', '1.5steps'], 'recipe.steps: expected a whole number'],
    [['--budget', '5'], 'Expected a length such as 5m or 600steps.'],
  ])('refused: %j', async (more, message) => {
    const { code, errors } = await runCommand(['ablate', 'run.json', '--only', 'gate', ...more], { cwd: folder })
    expect(errors).toContain(message)
    expect(code).toBe(2)
  })
})
