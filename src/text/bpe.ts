// trainBpeTokenizer: byte-level BPE; words are split and counted here, merges are learned natively.

import { z } from 'zod'
import { MergeError } from '../errors.js'
import { loadNative } from '../native.js'
import { parseConfig } from '../parseConfig.js'
import { type HuggingFaceTokenizerOptions, huggingFaceTokenizer } from './huggingFaceTokenizer.js'
import { type Tokenizer, toWellFormed } from './tokenizer.js'
import { wordPattern } from './wordPattern.js'

/** The native trainer; `trainBpe` of the addon. */
export type TrainBpe = (
  words: readonly string[],
  counts: Int32Array,
  vocabularySize: number,
  minFrequency: number,
  specialTokens: readonly string[],
) => Promise<string>

const bpeOptions = z.strictObject({
  /** Ids in all: special tokens, 256 bytes, one for each merge. Range 261 to 1,000,000. Default 8192. */
  vocabularySize: z.int().min(261).max(1_000_000).default(8192),
  /** A pair must occur this often to be merged. Default 2. */
  minFrequency: z.int().min(1).default(2),
})

/** Options of {@link trainBpeTokenizer}. */
export type BpeOptions = z.input<typeof bpeOptions>

/** The special tokens of a trained tokenizer, ids 0 to 4. */
export const bpeSpecialTokens = ['[PAD]', '[BOS]', '[EOS]', '[MASK]', '[SEP]'] as const

/**
 * Trains a byte-level BPE tokenizer (GPT-2's splitting, lossless) as Python's `tokenizers` would, and returns it.
 * `trainBpe` is the native trainer unless another one is given. Counting pauses often enough that the event loop is never held for more than about 10 ms.
 *
 * @example
 * const tokenizer = await trainBpeTokenizer(texts, { vocabularySize: 4096 })
 */
export async function trainBpeTokenizer(
  texts: Iterable<string> | AsyncIterable<string>,
  options: BpeOptions,
  trainBpe: TrainBpe = nativeTrainer,
  tokenizerOptions: HuggingFaceTokenizerOptions = {},
): Promise<Tokenizer> {
  const { vocabularySize, minFrequency } = parseConfig(bpeOptions, options, 'trainBpeTokenizer')
  const counted = await countWords(texts)
  if (counted.size === 0)
    throw new MergeError('ERR_INPUT', 'trainBpeTokenizer: expected texts with words, received none')
  const words = [...counted.keys()]
  const counts = Int32Array.from(counted.values())
  const json: unknown = JSON.parse(await trainBpe(words, counts, vocabularySize, minFrequency, bpeSpecialTokens))
  return huggingFaceTokenizer(json, tokenizerOptions)
}

/** The addon's trainer; loaded only when it is needed. */
const nativeTrainer: TrainBpe = async (...given) => (await loadNative()).trainBpe(...given)

/** How often each word occurs, in order of first sight. */
export async function countWords(texts: Iterable<string> | AsyncIterable<string>): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  let sliceStart = performance.now()
  let sincePause = 0
  for await (const text of texts) {
    for (const [word] of toWellFormed(text).matchAll(wordPattern)) {
      // Int32 counts are what the native trainer takes; one word of 2^31 would need a corpus of gigabytes.
      counts.set(word, Math.min((counts.get(word) ?? 0) + 1, 0x7fffffff))
      if (++sincePause < wordsPerLook) continue
      sincePause = 0
      if (performance.now() - sliceStart > sliceMs) {
        await new Promise((resume) => setImmediate(resume))
        sliceStart = performance.now()
      }
    }
  }
  return counts
}

const wordsPerLook = 512
const sliceMs = 5
