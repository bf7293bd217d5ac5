// idTokenizer: text that is a list of token ids, for a model that came without a tokenizer: `5 6 7`.

import { MergeError } from '../errors.js'
import {
  checkId,
  defaultMaxInputLength,
  type SpecialIds,
  spansOfPieces,
  type Tokenizer,
  wellFormedInput,
} from './tokenizer.js'

/** How many ids there are, and which play a role; one that is left out is -1. */
export interface IdTokenizerOptions {
  readonly vocabularySize: number
  readonly special?: Partial<SpecialIds>
}

/**
 * A tokenizer whose text is ids, one space between two. Every id can be written, special ones too.
 *
 * @example
 * idTokenizer({ vocabularySize: 96 }).encode('5 6 7')
 */
export function idTokenizer(options: IdTokenizerOptions): Tokenizer {
  const { vocabularySize } = options
  const special: SpecialIds = { pad: -1, bos: -1, eos: -1, mask: -1, sep: -1, ...options.special }
  const pieces = (ids: Iterable<number>): string[] =>
    Array.from(ids, (id, index) => `${index === 0 ? '' : ' '}${checkId(id, vocabularySize)}`)
  const encode = (text: string): Int32Array => {
    const words = wellFormedInput(text, defaultMaxInputLength)
      .split(/[\s,]+/)
      .filter((word) => word !== '')
    return Int32Array.from(words, (word) => {
      if (!/^\d+$/.test(word)) {
        throw new MergeError('ERR_INPUT', `text: expected token ids such as 5 6 7, received ${JSON.stringify(word)}`)
      }
      return checkId(Number(word), vocabularySize)
    })
  }
  return {
    kind: 'ids',
    vocabularySize,
    special,
    shift: -1,
    maxInputLength: defaultMaxInputLength,
    lossless: false,
    encode,
    decode: (ids) => pieces(ids).join(''),
    pieces,
    spans: (text) => spansOfPieces(pieces(encode(text))),
    toJSON: () => ({ type: 'merge-lm/ids', version: 1, vocabularySize, special }),
  }
}
