// characterTokenizer: one token a character, capitals as shift + small letter, bytes for what the alphabet lacks.

import { MergeError } from '../errors.js'
import { ByteRun } from './byteRun.js'
import {
  builtInSpecial,
  builtInSpecialCount,
  checkId,
  defaultMaxInputLength,
  spansOfPieces,
  type Tokenizer,
  toWellFormed,
  wellFormedInput,
} from './tokenizer.js'

/** Options of {@link characterTokenizer}. */
export interface CharacterTokenizerOptions {
  /** The characters (code points) that have a token of their own; order and repeats do not matter. */
  readonly alphabet: string | Iterable<string>
  /**
   * Write a capital as a shift token and its small letter, so that changing case is an insertion or a deletion and not
   * another letter. Lossless. Default false.
   */
  readonly caseShift?: boolean
  /** Longest text, in UTF-16 units. Default 1,048,576. */
  readonly maxInputLength?: number
}

/**
 * The character tokenizer. Ids: 5 special tokens, the shift token (with `caseShift`), the alphabet in code point order,
 * 256 byte tokens for the UTF-8 bytes of other characters. Lossless for every text.
 *
 * @example
 * const tokenizer = characterTokenizer({ alphabet: 'abcdefghijklmnopqrstuvwxyz .,', caseShift: true })
 * tokenizer.decode(tokenizer.encode('Hi, Tom.')) // 'Hi, Tom.'
 */
export function characterTokenizer(options: CharacterTokenizerOptions): Tokenizer {
  const caseShift = options.caseShift ?? false
  const maxInputLength = options.maxInputLength ?? defaultMaxInputLength
  const characters = sortedAlphabet(options.alphabet, caseShift)
  const shift = caseShift ? builtInSpecialCount : -1
  const firstCharacter = builtInSpecialCount + (caseShift ? 1 : 0)
  const firstByte = firstCharacter + characters.length
  const vocabularySize = firstByte + 256
  const idOf = new Map(characters.map((character, index) => [character, firstCharacter + index]))
  const encoder = new TextEncoder()

  const encode = (text: string): Int32Array => {
    const ids: number[] = []
    for (const character of wellFormedInput(text, maxInputLength)) {
      const id = idOf.get(character)
      const small = id === undefined && caseShift ? smallLetterOf(character) : undefined
      const smallId = small === undefined ? undefined : idOf.get(small)
      if (id !== undefined) ids.push(id)
      else if (smallId !== undefined) ids.push(shift, smallId)
      else for (const byte of encoder.encode(character)) ids.push(firstByte + byte)
    }
    return Int32Array.from(ids)
  }

  const pieces = (ids: Iterable<number>): string[] => {
    const result: string[] = []
    const run = new ByteRun()
    let shifted = false
    for (const id of ids) {
      checkId(id, vocabularySize)
      if (id >= firstByte) {
        result.push(run.add(id - firstByte))
      } else {
        run.endInto(result)
        const character = characters[id - firstCharacter] ?? ''
        result.push(shifted ? capitalOf(character) : character)
      }
      // A shift before anything but a letter has no effect.
      shifted = id === shift
    }
    run.endInto(result)
    return result
  }

  return {
    kind: 'character',
    vocabularySize,
    special: builtInSpecial,
    shift,
    maxInputLength,
    lossless: true,
    encode,
    decode: (ids) => pieces(ids).join(''),
    pieces,
    spans: (text) => spansOfPieces(pieces(encode(text))),
    toJSON: () => ({
      type: 'merge-lm/character',
      version: 1,
      alphabet: characters.join(''),
      caseShift,
      maxInputLength,
    }),
  }
}

/** Options of {@link trainCharacterTokenizer}. */
export interface TrainCharacterOptions extends Omit<CharacterTokenizerOptions, 'alphabet'> {
  /** Characters seen less often than this are left to the byte tokens. Default 1. */
  readonly minFrequency?: number
  /** Most characters in the alphabet; the most frequent ones stay, ties by code point. Default 4096. */
  readonly maxAlphabet?: number
}

/** A character tokenizer whose alphabet is collected from texts. Characters that never occur are written as bytes. */
export function trainCharacterTokenizer(texts: Iterable<string>, options: TrainCharacterOptions = {}): Tokenizer {
  const { minFrequency = 1, maxAlphabet = 4096, ...rest } = options
  const counts = new Map<string, number>()
  for (const text of texts) {
    for (const character of toWellFormed(text)) {
      const small = options.caseShift === true ? smallLetterOf(character) : undefined
      const counted = small ?? character
      counts.set(counted, (counts.get(counted) ?? 0) + 1)
    }
  }
  const alphabet = [...counts]
    .filter(([, count]) => count >= minFrequency)
    .sort(([a, countA], [b, countB]) => countB - countA || codePoint(a) - codePoint(b))
    .slice(0, maxAlphabet)
    .map(([character]) => character)
  if (alphabet.length === 0) {
    throw new MergeError(
      'ERR_INPUT',
      'trainCharacterTokenizer: expected texts with at least one character, received none',
    )
  }
  return characterTokenizer({ ...rest, alphabet })
}

/** The small letter of a capital, if it is one character and leads back to that capital. */
function smallLetterOf(character: string): string | undefined {
  const small = character.toLowerCase()
  if (small === character || [...small].length !== 1) return undefined
  return small.toUpperCase() === character ? small : undefined
}

/** The capital of a small letter where the round trip holds, else the character itself. */
function capitalOf(character: string): string {
  const capital = character.toUpperCase()
  return smallLetterOf(capital) === character ? capital : character
}

function sortedAlphabet(alphabet: string | Iterable<string>, caseShift: boolean): string[] {
  const characters = new Set<string>()
  for (const entry of alphabet) {
    if (typeof entry !== 'string' || [...entry].length !== 1 || toWellFormed(entry) !== entry) {
      throw new MergeError('ERR_CONFIG', `alphabet: expected single characters, received ${JSON.stringify(entry)}`)
    }
    // With case shift the small letter stands for both.
    characters.add((caseShift ? smallLetterOf(entry) : undefined) ?? entry)
  }
  return [...characters].sort((a, b) => codePoint(a) - codePoint(b))
}

const codePoint = (character: string): number => character.codePointAt(0) ?? 0
