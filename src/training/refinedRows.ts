// refinedRows: many texts through the loop of refinement, rows of like length together, the event loop never held.

import type { DraftText, Editor, Round, TokenDraft } from '../editor.js'
import { byLength } from './batches.js'
import { pace } from './pace.js'

/** A text after its last round. */
export interface RefinedRow<T> {
  readonly item: T
  /** Its place in the list. */
  readonly index: number
  readonly draft: TokenDraft
  /** At least one; the last has a stop reason. */
  readonly rounds: readonly Round[]
  /** The last round. */
  readonly last: Round
}

// What a round tells of a batch is read in one stretch; this many tokens take about 5 ms.
const batchTokens = 8192

/** Refines a text of each item to the end; shorter rows come first. */
export async function* refinedRows<T>(
  editor: Editor,
  items: readonly T[],
  textOf: (item: T) => DraftText,
): AsyncGenerator<RefinedRow<T>, void, undefined> {
  const breathe = pace()
  // Drafts are made twice: typed arrays of a whole list that live on make the garbage collector hold the event loop.
  const lengths = new Int32Array(items.length)
  for (const [index, item] of items.entries()) {
    editor.signal?.throwIfAborted()
    await breathe()
    lengths[index] = editor.draft(textOf(item)).state.tokens.length
  }
  const lengthAt = (index = -1): number => lengths[index] ?? 0
  const order = byLength(Int32Array.from(items.keys()), lengthAt)
  for (let start = 0; start < order.length; ) {
    // The longest row of a batch is its last: it takes in rows up to the first that would make it too large.
    const fits = (end: number): boolean => (end + 1 - start) * lengthAt(order[end]) <= batchTokens
    let end = start + 1
    while (end < order.length && end - start < editor.batchRows && fits(end)) end++
    const batch = order.slice(start, end).flatMap((index) => {
      return items.slice(index, index + 1).map((item) => ({ item, index, draft: editor.draft(textOf(item)) }))
    })
    start = end
    const histories = batch.map((): Round[] => [])
    for await (const rounds of editor.refine(batch.map(({ draft }) => draft))) {
      for (const round of rounds) histories[round.row]?.push(round)
    }
    for (const [place, row] of batch.entries()) {
      await breathe()
      const rounds = histories[place] ?? []
      const last = rounds.at(-1)
      if (last !== undefined) yield { ...row, rounds, last }
    }
  }
}
