// byteTokenizer: every byte of the UTF-8 text is a token; 261 ids, nothing to train.

import { ByteRun } from './byteRun.js'
import {
  builtInSpecial,
  builtInSpecialCount,
  checkId,
  defaultMaxInputLength,
  spansOfPieces,
  type Tokenizer,
  wellFormedInput,
} from './tokenizer.js'

/** Options of {@link byteTokenizer}. */
export interface ByteTokenizerOptions {
  /** Longest text, in UTF-16 units. Default 1,048,576. */
  readonly maxInputLength?: number
}

/**
 * The byte tokenizer: id 5 is byte 0x00, id 260 is byte 0xFF. Lossless for every text.
 *
 * @example
 * byteTokenizer().encode('hi') // Int32Array [109, 110]
 */
export function byteTokenizer(options: ByteTokenizerOptions = {}): Tokenizer {
  const maxInputLength = options.maxInputLength ?? defaultMaxInputLength
  const vocabularySize = builtInSpecialCount + 256
  const encoder = new TextEncoder()

  const encode = (text: string): Int32Array =>
    Int32Array.from(encoder.encode(wellFormedInput(text, maxInputLength)), (byte) => byte + builtInSpecialCount)

  const pieces = (ids: Iterable<number>): string[] => {
    const result: string[] = []
    const run = new ByteRun()
    for (const id of ids) {
      const byte = checkId(id, vocabularySize) - builtInSpecialCount
      if (byte < 0) run.endInto(result)
      result.push(byte < 0 ? '' : run.add(byte))
    }
    run.endInto(result)
    return result
  }

  return {
    kind: 'byte',
    vocabularySize,
    special: builtInSpecial,
    shift: -1,
    maxInputLength,
    lossless: true,
    encode,
    decode: (ids) => pieces(ids).join(''),
    pieces,
    spans: (text) => spansOfPieces(pieces(encode(text))),
    toJSON: () => ({ type: 'merge-lm/byte', version: 1, maxInputLength }),
  }
}
