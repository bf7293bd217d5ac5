// Tokenizers: lossless, no special id out of text, spans that fit the text, saved and loaded.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isMergeError } from '../../src/errors.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { characterTokenizer, trainCharacterTokenizer } from '../../src/text/characterTokenizer.js'
import { huggingFaceTokenizer } from '../../src/text/huggingFaceTokenizer.js'
import { type Tokenizer, toWellFormed } from '../../src/text/tokenizer.js'
import { loadTokenizer, saveTokenizer, tokenizerFromJson } from '../../src/text/tokenizerFile.js'
import { byteLevelJson, unigramJson, wordPieceJson } from './tokenizerFixtures.js'

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789 .,?!\'"-\u00e4\u00f6\u00fc\u00e9\u03c3\u0434'
const lossless: [string, Tokenizer][] = [
  ['bytes', byteTokenizer()],
  ['characters', characterTokenizer({ alphabet })],
  ['characters with case shift', characterTokenizer({ alphabet, caseShift: true })],
  ['byte-level BPE', huggingFaceTokenizer(byteLevelJson())],
]
const all: [string, Tokenizer][] = [
  ...lossless,
  ['WordPiece', huggingFaceTokenizer(wordPieceJson())],
  ['Unigram', huggingFaceTokenizer(unigramJson())],
]
const specialTexts = ['[PAD]', '[BOS]', '[EOS]', '[MASK]', '[SEP]', '[CLS]', '<s>', '</s>', '<mask>', '<pad>', '<0x41>']
const awkward = [
  '',
  '\ud800',
  '\udc00\ud800',
  'a\udc00b',
  '\ufeffx',
  '\0',
  '\r\n',
  'e\u0301',
  '\u{1F469}\u200D\u{1F467}',
  '\u0085',
  'K',
  '\u212a',
  '\u1e9e',
  '\u0130',
  '\u01c5\u01c4\u01c6',
  '\u03a3\u03c3\u03c2',
  '\u00c4\u00d6',
  '\u0414\u0434',
]
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string(),
  lonely(),
  fc.constantFrom(...awkward),
)

describe.each(lossless)('%s', (_, tokenizer) => {
  it('decodes what it encoded', () => {
    expect(tokenizer.lossless).toBe(true)
    for (const text of awkward) expect(tokenizer.decode(tokenizer.encode(text))).toBe(toWellFormed(text))
    fc.assert(
      fc.property(texts, (text) => tokenizer.decode(tokenizer.encode(text)) === toWellFormed(text)),
      { numRuns: 2000 },
    )
  })

  it('gives each token a span; the tokens of a character share one', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const clean = toWellFormed(text)
        const spans = tokenizer.spans(text)
        let end = 0
        let rebuilt = ''
        for (let i = 0; i < spans.length; i += 2) {
          const [from = -1, to = -1] = spans.subarray(i, i + 2)
          expect(to).toBeGreaterThan(from)
          expect(from === end || (i > 0 && from === spans[i - 2] && to === end)).toBe(true)
          if (to > end) rebuilt += clean.slice(from, to)
          end = to
        }
        expect(rebuilt).toBe(clean)
      }),
      { numRuns: 500 },
    )
  })
})

describe.each(all)('%s', (_, tokenizer) => {
  const reserved = new Set<number>(Object.values(tokenizer.special))

  it('has five different special ids inside its vocabulary', () => {
    expect(reserved.size).toBe(5)
    for (const id of reserved) expect(id).toBeLessThan(tokenizer.vocabularySize)
    expect(tokenizer.decode(reserved)).toBe('')
  })

  it('never makes a special id out of text', () => {
    const special = fc.constantFrom(...specialTexts, '[\u200bMASK]', '\uff3bMASK\uff3d', '[MA', 'SK]', 'mask', ' ')
    const sentence = fc.array(fc.oneof(special, texts), { maxLength: 6 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(sentence, (text) => tokenizer.encode(text).every((id) => !reserved.has(id))),
      { numRuns: 2000 },
    )
  })

  it('divides the decoded text among the tokens', () => {
    const row = fc.array(fc.integer({ min: 0, max: tokenizer.vocabularySize - 1 }), { maxLength: 40 })
    fc.assert(
      fc.property(row, (ids) => tokenizer.pieces(ids).join('') === tokenizer.decode(ids)),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text)
        const pieces = tokenizer.pieces(ids)
        return pieces.length === ids.length && pieces.join('') === tokenizer.decode(ids)
      }),
      { numRuns: 300 },
    )
  })

  it('survives its own JSON', () => {
    const again = tokenizerFromJson(JSON.parse(JSON.stringify(tokenizer.toJSON())))
    expect(again.special).toEqual(tokenizer.special)
    expect(again.vocabularySize).toBe(tokenizer.vocabularySize)
    const text = 'The Cat [MASK] sat, on caf\u00e9 no. 5.'
    expect(again.encode(text)).toEqual(tokenizer.encode(text))
  })

  it('refuses a text that is too long, at once, and what is no text', () => {
    const start = performance.now()
    expect(() => tokenizer.encode('x'.repeat(10_000_000))).toThrow(
      /expected at most 1048576 UTF-16 units, received 10000000/,
    )
    expect(performance.now() - start).toBeLessThan(100)
    expect(() => Reflect.apply(tokenizer.encode, tokenizer, [7])).toThrow('text: expected a string, received number')
    expect(() => tokenizer.decode([tokenizer.vocabularySize])).toThrow(/token id: expected a whole number from 0 to/)
    expect(() => tokenizer.decode([1.5])).toThrow(/received 1.5/)
  })
})

describe('characterTokenizer', () => {
  const tokenizer = characterTokenizer({ alphabet: 'tom.', caseShift: true })

  it('writes a capital as shift and small letter', () => {
    expect([...tokenizer.encode('Tom.')]).toEqual([5, 9, 8, 7, 6])
    expect(tokenizer.pieces([5, 9, 8, 7, 6])).toEqual(['', 'T', 'o', 'm', '.'])
    expect([...tokenizer.spans('Tom.')]).toEqual([0, 1, 0, 1, 1, 2, 2, 3, 3, 4])
  })

  it('ignores a shift before what is no small letter', () => {
    expect(tokenizer.decode([5, 6, 5, 5, 9, 5])).toBe('.T')
  })

  it('writes other characters as bytes', () => {
    expect(tokenizer.encode('\u00e9')).toHaveLength(2)
    expect([...tokenizer.spans('o\u00e9')]).toEqual([0, 1, 1, 2, 1, 2])
  })

  it('collects an alphabet, the frequent characters only where asked', () => {
    const trained = trainCharacterTokenizer(['aab', 'Bz'], { caseShift: true, minFrequency: 2 })
    expect(trained.toJSON()).toMatchObject({ alphabet: 'ab', caseShift: true })
    expect(trainCharacterTokenizer(['abcc'], { maxAlphabet: 2 }).toJSON()).toMatchObject({ alphabet: 'ac' })
    expect(() => trainCharacterTokenizer([])).toThrow(/expected texts with at least one character/)
  })

  it('refuses an alphabet of more than characters', () => {
    expect(() => characterTokenizer({ alphabet: ['ab'] })).toThrow(
      'alphabet: expected single characters, received "ab"',
    )
  })
})

describe('huggingFaceTokenizer', () => {
  it('takes roles from known names and adds the missing ones at the end', () => {
    const tokenizer = huggingFaceTokenizer(wordPieceJson())
    expect(tokenizer.special).toEqual({ pad: 0, bos: 2, sep: 3, mask: 4, eos: 20 })
    expect(tokenizer.vocabularySize).toBe(21)
  })

  it('takes a role from the name that is given', () => {
    const json = byteLevelJson()
    expect(huggingFaceTokenizer(json, { special: { mask: '<|gap|>' } }).special.mask).toBe(5)
    expect(() => huggingFaceTokenizer(json, { special: { mask: '<gap>' } })).toThrow(
      'special.mask: expected a token of the vocabulary',
    )
  })

  it('keeps offsets through lower-casing', () => {
    const tokenizer = huggingFaceTokenizer(wordPieceJson())
    expect([...tokenizer.spans('The CAT')]).toEqual([0, 3, 3, 7])
  })

  it('takes a megabyte in one word in about a second', () => {
    const tokenizer = huggingFaceTokenizer(byteLevelJson())
    const word = 'the'.repeat(349_525)
    const start = performance.now()
    expect(tokenizer.encode(word).length).toBe(349_525)
    expect(performance.now() - start).toBeLessThan(5000)
  })

  it.each([
    [null],
    [7],
    [{}],
    [{ model: {} }],
    [{ model: { vocab: { a: 'x' } } }],
    [{ model: { type: 'BPE', vocab: { a: 1 } } }],
  ])('refuses %j', (json) => {
    let error: unknown
    try {
      huggingFaceTokenizer(json)
    } catch (caught) {
      error = caught
    }
    expect(isMergeError(error, 'ERR_INPUT')).toBe(true)
  })
})

describe('tokenizer.json', () => {
  it('is written into a folder and read back from it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'merge-lm-tokenizer-'))
    for (const [, tokenizer] of all) {
      const file = await saveTokenizer(tokenizer, folder)
      expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(tokenizer.toJSON())))
      const loaded = await loadTokenizer(folder)
      expect(loaded.kind).toBe(tokenizer.kind)
      expect(loaded.encode('Hello there')).toEqual(tokenizer.encode('Hello there'))
    }
    await writeFile(join(folder, 'tokenizer.json'), '{"type":')
    await expect(loadTokenizer(folder)).rejects.toThrow(/tokenizer.json: expected JSON/)
    await writeFile(join(folder, 'tokenizer.json'), '{"type":"merge-lm/character","version":1}')
    await expect(loadTokenizer(folder)).rejects.toThrow(/alphabet/)
    await expect(loadTokenizer(join(folder, 'missing'))).rejects.toThrow(/expected a readable file/)
    await expect(saveTokenizer(byteTokenizer(), join(folder, 'missing'))).rejects.toThrow(/expected a writable folder/)
  })
})

/** Strings with lone surrogates. */
function lonely(): fc.Arbitrary<string> {
  return fc
    .array(fc.integer({ min: 0xd780, max: 0xe07f }), { maxLength: 12 })
    .map((units) => String.fromCharCode(...units))
}
