// Tokenizer: text to token ids and back; the one interface all tokenizers share.

import { MergeError } from '../errors.js'

/** The ids that only the API can produce; text never yields one. All five are different. */
export interface SpecialIds {
  readonly pad: number
  readonly bos: number
  readonly eos: number
  readonly mask: number
  readonly sep: number
}

/** Turns text into token ids and back. Built in: characters and bytes; from a file: any `tokenizer.json`. */
export interface Tokenizer {
  readonly kind: TokenizerKind
  /** Number of ids; all ids are below it. */
  readonly vocabularySize: number
  readonly special: SpecialIds
  /** The id that changes the character behind it (a capital shift), or -1. It is never put before a locked token. */
  readonly shift: number
  /** Longest text that `encode` takes, in UTF-16 units; a longer one is ERR_INPUT. */
  readonly maxInputLength: number
  /** True if `decode(encode(text))` equals `text.toWellFormed()` for every text. */
  readonly lossless: boolean
  /** Ids of the text's tokens, without sentinels. A lone surrogate counts as U+FFFD. */
  encode(text: string): Int32Array
  /** The text of these tokens; special ids have none. */
  decode(ids: Iterable<number>): string
  /**
   * Each token's share of the text: joined they are `decode(ids)`. Where several tokens make one character, the last
   * of them has it and the others are empty; special ids are empty.
   */
  pieces(ids: Iterable<number>): string[]
  /**
   * `[start, end)` in UTF-16 offsets of `text` for each token of `encode(text)`, flat: two numbers a token. Tokens that
   * make one character together share its offsets.
   */
  spans(text: string): Int32Array
  /** What `tokenizer.json` holds. */
  toJSON(): TokenizerJson
}

/** Which family a tokenizer belongs to. */
export type TokenizerKind = 'character' | 'byte' | 'huggingface' | 'ids'

/** The content of a `tokenizer.json`. */
export type TokenizerJson = Readonly<Record<string, unknown>>

/** Ids of the special tokens of the built-in tokenizers. */
export const builtInSpecial: SpecialIds = { pad: 0, bos: 1, eos: 2, mask: 3, sep: 4 }

/** How many ids the special tokens of the built-in tokenizers take. */
export const builtInSpecialCount = 5

/** Default of `maxInputLength`, in UTF-16 units. */
export const defaultMaxInputLength = 1_048_576

/** Refuses what is not a string or too long, and replaces lone surrogates by U+FFFD. */
export function wellFormedInput(text: string, maxInputLength: number): string {
  if (typeof text !== 'string') throw new MergeError('ERR_INPUT', `text: expected a string, received ${kindOf(text)}`)
  if (text.length > maxInputLength) {
    throw new MergeError(
      'ERR_INPUT',
      `text: expected at most ${maxInputLength} UTF-16 units, received ${text.length}; split it or raise maxInputLength`,
      { details: { length: text.length, maxInputLength } },
    )
  }
  return toWellFormed(text)
}

/** `String.prototype.toWellFormed` (Node 20 has it, the ES2022 type library does not). */
export function toWellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd')
}

/** Spans of tokens whose pieces, joined, are the text itself. */
export function spansOfPieces(pieces: readonly string[]): Int32Array {
  const spans = new Int32Array(2 * pieces.length)
  let start = 0
  let waiting = 0
  pieces.forEach((piece, index) => {
    const end = start + piece.length
    // Empty pieces wait for the token that completes their character and share its span.
    for (let i = piece.length > 0 ? waiting : index; i <= index; i++) {
      spans[2 * i] = start
      spans[2 * i + 1] = end
    }
    if (piece.length > 0) waiting = index + 1
    start = end
  })
  return spans
}

/** An id must be a whole number inside the vocabulary. */
export function checkId(id: number, vocabularySize: number): number {
  if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
    throw new MergeError(
      'ERR_INPUT',
      `token id: expected a whole number from 0 to ${vocabularySize - 1}, received ${id}`,
    )
  }
  return id
}

/** A word for the kind of a value in an error message. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'an array' : typeof value
}
