// byteLevelEncoder: byte-level BPE encoding over ids, in O(n log n) however long a word is.
//
// The engine of @huggingface/tokenizers gives the same ids but needs seconds for one word of a megabyte.

import { z } from 'zod'
import type { TokenizerFile } from './specialRoles.js'
import { wordPattern } from './wordPattern.js'

/** GPT-2's printable character for each byte. */
export function byteCharacters(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCharCode(isPrintable ? byte : next++)
  })
}

/** Files that this encoder understands completely; for others it is not offered. */
const plainFile = z.looseObject({
  pre_tokenizer: z.looseObject({ type: z.literal('ByteLevel'), use_regex: z.literal(true).optional() }),
  model: z.looseObject({
    type: z.literal('BPE'),
    ignore_merges: z.literal(false).nullish(),
    continuing_subword_prefix: z.literal('').nullish(),
    end_of_word_suffix: z.literal('').nullish(),
  }),
})

/** Pairs and ids are packed into one number: ids stay below 2^21, ranks too. */
const base = 2 ** 21
const cacheCapacity = 20_000
const longestCached = 64

/**
 * The encoder of a lossless byte-level file, or nothing if the file asks for more than plain merges.
 * `ids` are the tokens that text may produce.
 */
export function byteLevelEncoder(
  file: TokenizerFile,
  ids: ReadonlyMap<string, number>,
): ((text: string) => Int32Array) | undefined {
  const hasPlainAdded = file.added_tokens.some((token) => ids.has(token.content))
  if (hasPlainAdded || ids.size >= base / 2 || !plainFile.safeParse(file).success) return undefined
  const byteIds = byteCharacters().map((character) => ids.get(character) ?? -1)
  const merges = new Map<number, number>()
  for (const [rank, merge] of (file.model.merges ?? []).entries()) {
    const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ', 2) : merge
    const [leftId, rightId, id] = [ids.get(left), ids.get(right), ids.get(left + right)]
    // A merge that makes or needs a reserved token is no merge for text.
    if (leftId === undefined || rightId === undefined || id === undefined) continue
    merges.set(leftId * base + rightId, rank * base + id)
  }
  const bytes = new TextEncoder()
  const cache = new Map<string, Int32Array>()

  const encodeWord = (word: string): Int32Array => {
    const known = cache.get(word)
    if (known !== undefined) return known
    const row = mergeWord(
      Int32Array.from(bytes.encode(word), (byte) => byteIds[byte] ?? -1),
      merges,
    )
    if (cache.size >= cacheCapacity) cache.clear()
    if (word.length <= longestCached) cache.set(word, row)
    return row
  }

  return (text) => {
    const result: number[] = []
    for (const [word] of text.matchAll(wordPattern)) for (const id of encodeWord(word)) result.push(id)
    return Int32Array.from(result)
  }
}

/** Merges the pair of lowest rank, leftmost first, until none is left. */
function mergeWord(symbols: Int32Array, merges: ReadonlyMap<number, number>): Int32Array {
  const size = symbols.length
  const next = Int32Array.from(symbols, (_, i) => i + 1)
  const previous = Int32Array.from(symbols, (_, i) => i - 1)
  const heap = new MinHeap()
  // A candidate is rank and position in one number, so that the heap orders by both.
  const offer = (left: number): void => {
    const right = next[left] ?? size
    const merge =
      left >= 0 && right < size ? merges.get((symbols[left] ?? 0) * base + (symbols[right] ?? 0)) : undefined
    if (merge !== undefined) heap.push(Math.floor(merge / base) * 2 ** 32 + left)
  }
  for (let i = 0; i + 1 < size; i++) offer(i)

  for (let candidate = heap.pop(); candidate !== undefined; candidate = heap.pop()) {
    const left = candidate % 2 ** 32
    const right = next[left] ?? size
    const symbol = symbols[left] ?? -1
    if (symbol < 0 || right >= size) continue
    const merge = merges.get(symbol * base + (symbols[right] ?? 0))
    // One of the two was merged with another symbol meanwhile.
    if (merge === undefined || Math.floor(merge / base) !== Math.floor(candidate / 2 ** 32)) continue
    symbols[left] = merge % base
    symbols[right] = -1
    const after = next[right] ?? size
    next[left] = after
    if (after < size) previous[after] = left
    offer(previous[left] ?? -1)
    offer(left)
  }
  return symbols.filter((symbol) => symbol >= 0)
}

class MinHeap {
  private readonly items: number[] = []

  push(item: number): void {
    const { items } = this
    let at = items.length
    items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = items[parent] ?? 0
      if (above <= item) break
      items[at] = above
      at = parent
    }
    items[at] = item
  }

  pop(): number | undefined {
    const { items } = this
    const top = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if ((items[child + 1] ?? Number.POSITIVE_INFINITY) < (items[child] ?? 0)) child++
      const below = items[child] ?? 0
      if (below >= last) break
      items[at] = below
      at = child
    }
    items[at] = last
    return top
  }
}
