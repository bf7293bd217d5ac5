// Bad input: each thing a user can get wrong ends in one sentence on stderr and the exit code of its kind, never a stack.
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { runCommand, saveTinyModel, tinyRun, tinySentences } from './commandChild.js'

let folder = ''
const at = (name: string): string => join(folder, name)
const read = (name: string): string => readFileSync(at(name), 'utf8')
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-bad-'))
  await saveTinyModel(at('tiny'))
  for (const copy of ['truncated', 'damaged', 'other-tokenizer', 'newer']) {
    cpSync(at('tiny'), at(copy), { recursive: true })
  }
  truncateSync(at('truncated/model.safetensors'), 1000)

  const weights = readFileSync(at('damaged/model.safetensors'))
  weights[weights.length - 100] = (weights[weights.length - 100] ?? 0) ^ 1
  writeFileSync(at('damaged/model.safetensors'), weights)

  // A forged manifest: every hash is right, but the tokenizer is another model's.
  const tokenizer = JSON.stringify(byteTokenizer().toJSON())
  writeFileSync(at('other-tokenizer/tokenizer.json'), tokenizer)
  const manifest = JSON.parse(read('other-tokenizer/manifest.json'))
  for (const file of manifest.files) {
    if (file.name === 'tokenizer.json')
      Object.assign(file, { bytes: tokenizer.length, sha256: sha256(Buffer.from(tokenizer)) })
  }
  writeFileSync(at('other-tokenizer/manifest.json'), JSON.stringify(manifest))
  writeFileSync(at('newer/manifest.json'), JSON.stringify({ ...JSON.parse(read('newer/manifest.json')), format: 2 }))

  writeFileSync(at('sentences.txt'), tinySentences)
  writeFileSync(at('empty.txt'), '\n  \n')
  writeFileSync(at('latin1.txt'), Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x0a))
  writeFileSync(at('bad.jsonl'), '{"text": "fine"}\n{"text": "cut of\n')
  writeFileSync(at('columns.jsonl'), '{"txet": "misspelt"}\n')
  writeFileSync(at('no-tokenizer.json'), '{"words": ["a", "b"]}')
  writeFileSync(at('run.json'), JSON.stringify(tinyRun))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const train = (...set: string[]): string[] => ['train', 'run.json', ...set.flatMap((value) => ['--set', value])]
const edit = (...rest: string[]): string[] => ['edit', '-m', 'tiny', ...rest]

interface Case {
  readonly what: string
  readonly args: readonly string[]
  readonly code: number
  /** The whole message, or how it begins where Node or a library has the last word. */
  readonly message: string | RegExp | (() => string)
}

const cases: readonly Case[] = [
  // data: 3
  {
    what: 'a missing data file',
    args: train('data.file=nowhere.txt'),
    code: 3,
    message: 'ERR_INPUT: data file: expected a readable file, received nowhere.txt, which does not exist',
  },
  {
    what: 'empty data',
    args: train('data.file=empty.txt'),
    code: 3,
    message: 'ERR_INPUT: data: expected at least one example, received none from empty.txt',
  },
  {
    what: 'bytes that are not UTF-8',
    args: train('data.file=latin1.txt'),
    code: 3,
    message: 'ERR_INPUT: latin1.txt: expected UTF-8 text, received other bytes',
  },
  {
    what: 'a malformed line of JSONL',
    args: train('data.file=bad.jsonl'),
    code: 3,
    message: /^ERR_INPUT: bad\.jsonl line 2: expected JSON \(Unterminated string in JSON at position 16/,
  },
  {
    what: 'a misspelt column',
    args: train('data.file=columns.jsonl'),
    code: 3,
    message: 'ERR_INPUT: columns.jsonl line 1: expected a column "target" or "text", received columns txet',
  },
  {
    what: 'too long a row',
    args: train('model.maxLength=8'),
    code: 3,
    message:
      'ERR_INPUT: data: expected rows of at most 8 tokens (maxLength), received 26 in row 0 of epoch 0: "A fox runs over the hill."; recipe.tooLong: "drop" leaves such rows out',
  },
  {
    what: 'more held out than there is',
    args: train('heldOut=3'),
    code: 3,
    message: 'ERR_INPUT: heldOut: expected 0 to 2 of 3 examples, received 3',
  },
  {
    what: 'a tokenizer file that is none',
    args: train('tokenizer={ kind: file, path: no-tokenizer.json }'),
    code: 3,
    message: /^ERR_INPUT: tokenizer\.json: expected a Hugging Face tokenizer, /,
  },
  {
    what: 'a text longer than the model takes',
    args: edit('a '.repeat(40)),
    code: 3,
    message: 'ERR_INPUT: text: expected at most 48 tokens (maxLength), received 80',
  },
  {
    what: 'a locked span outside the text',
    args: edit('--locked', '3:9', 'a fox'),
    code: 3,
    message: 'ERR_INPUT: locked: expected 0 <= start <= end <= 5, received [3, 9]',
  },
  {
    what: 'a text without a hole',
    args: ['infill', '-m', 'tiny', 'no hole'],
    code: 3,
    message: 'ERR_INPUT: text: expected at least one hole ("___"), received none',
  },
  {
    what: 'a token id outside the vocabulary',
    args: ['inspect', '-m', 'tiny', '--tokens', '5,999'],
    code: 3,
    message: 'ERR_INPUT: tokens: expected ids 0..289, received "999"',
  },
  {
    what: 'no text at all',
    args: edit(),
    code: 3,
    message: 'ERR_INPUT: text: expected an argument or lines on stdin, received neither',
  },
  // configuration: 2
  {
    what: 'a misspelt key',
    args: train('recipe.learnigRate=1'),
    code: 2,
    message: 'ERR_CONFIG: recipe.learnigRate: unknown key; did you mean "learningRate"?',
  },
  {
    what: 'a learning rate that is no number',
    args: train('recipe.learningRate=.nan'),
    code: 2,
    message:
      'ERR_CONFIG: recipe.learningRate: expected a number or one of { constant }, { linear }, { cosine }, { chain }, received NaN',
  },
  {
    what: 'heads that do not divide the width',
    args: train('model.heads=5'),
    code: 2,
    message: 'ERR_CONFIG: model.heads: expected width / heads to be an even number, received 32 / 5',
  },
  {
    what: 'a missing configuration',
    args: ['train', 'nowhere.yaml'],
    code: 2,
    message: 'ERR_CONFIG: config: expected a readable file, received nowhere.yaml',
  },
  {
    what: 'an unknown mode',
    args: edit('--mode', 'turbo', 'a fox'),
    code: 2,
    message: 'ERR_CONFIG: mode: expected "auto" or "edit" or "gen", received "turbo"',
  },
  {
    what: 'a threshold out of range',
    args: edit('--edit-threshold', '1.4', 'a fox'),
    code: 2,
    message: 'ERR_CONFIG: editThreshold: expected 0..1, received 1.4',
  },
  {
    what: 'a device of another name',
    args: edit('--device', 'gpu', 'a fox'),
    code: 2,
    message: 'ERR_CONFIG: device: expected "cpu" or "cuda:<n>", received "gpu"',
  },
  // saved models: 4
  {
    what: 'a missing model',
    args: ['edit', '-m', 'nowhere', 'a fox'],
    code: 4,
    message: 'ERR_CHECKPOINT: nowhere: expected a folder with manifest.json, received none',
  },
  {
    what: 'a truncated model',
    args: ['edit', '-m', 'truncated', 'a fox'],
    code: 4,
    message: () =>
      `ERR_CHECKPOINT: truncated: model.safetensors is truncated: expected ${statSync(at('tiny/model.safetensors')).size} bytes, received 1000`,
  },
  {
    what: 'a damaged model',
    args: ['edit', '-m', 'damaged', 'a fox'],
    code: 4,
    message: () =>
      `ERR_CHECKPOINT: damaged: model.safetensors is damaged: expected SHA-256 ${sha256(readFileSync(at('tiny/model.safetensors')))}, received ${sha256(readFileSync(at('damaged/model.safetensors')))}`,
  },
  {
    what: 'another tokenizer',
    args: ['edit', '-m', 'other-tokenizer', 'a fox'],
    code: 4,
    message: 'ERR_CHECKPOINT: other-tokenizer: "embedding.weight": expected shape [261, 32], received [290, 32]',
  },
  {
    what: 'a model of a later version',
    args: ['edit', '-m', 'newer', 'a fox'],
    code: 4,
    message: 'ERR_CHECKPOINT: newer: format 2 is newer than this version, which reads format 1',
  },
  // output: 5
  {
    what: 'a picture that cannot be written',
    args: edit('--trace-svg', 'nowhere/trace.svg', 'a fox'),
    code: 5,
    message: 'ERR_INPUT: trace-svg: expected a file that can be written, received nowhere/trace.svg',
  },
  {
    what: 'a full disk',
    args: ['inspect', '-m', 'tiny', '--json', '/dev/full'],
    code: 5,
    message: 'ERR_INPUT: json: expected a file that can be written, received /dev/full',
  },
  {
    what: 'a run below a file',
    args: train('folder=sentences.txt/run'),
    code: 5,
    message: 'ERR_INPUT: folder: expected a folder that can be written, received sentences.txt/run',
  },
  // numbers: 6
  {
    what: 'a step that is not finite',
    args: train('recipe.learningRate=1e30', 'recipe.clip=0', 'recipe.steps=50', 'folder=not-finite'),
    code: 6,
    message: 'ERR_NONFINITE: loss: expected a finite number, received nan at step 1',
  },
]

test.each(cases)('$what: $code', async ({ args, code, message }) => {
  const ending = await runCommand(args, { cwd: folder })
  const said = ending.errors.split('\n').flatMap((line) => /^merge-lm: (.*)$/.exec(line)?.[1] ?? [])
  const wanted = typeof message === 'function' ? message() : message
  const expected = typeof wanted === 'string' ? wanted : expect.stringMatching(wanted)
  expect({ code: ending.code, said }).toEqual({ code, said: [expected] })
  expect(ending.errors).not.toContain('    at ')
})
