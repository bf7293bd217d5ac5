// refinedRows: many texts through the loop of refinement, rows of like length together, the event loop never held.

import { type BatchOptions, batchConfig } from '../config.js'
import { type Draft, editableDraft } from '../merge/draft.js'
import { type Round, refineRows } from '../merge/refine.js'
import { type MergeModel, sessionOf } from '../model.js'
import { parseConfig } from '../parseConfig.js'
import { byLength } from './batches.js'
import { pace } from './pace.js'

/** A text after its last round. */
export interface RefinedRow<T> {
  readonly item: T
  /** Its place in the list. */
  readonly index: number
  readonly draft: Draft
  /** At least one; the last has a stop reason. */
  readonly rounds: readonly Round[]
  /** The last round. */
  readonly last: Round
}

/** Refines a text of each item to the end; shorter rows come first. */
export async function* refinedRows<T>(
  model: MergeModel,
  items: readonly T[],
  textOf: (item: T) => string,
  options: BatchOptions,
): AsyncGenerator<RefinedRow<T>, void, undefined> {
  const { batchRows, ...settings } = parseConfig(batchConfig, options, '')
  const { tokenizer, config } = model
  const context = { session: sessionOf(model), tokenizer, maxLength: config.maxLength }
  const breathe = pace()
  const rows: { item: T; index: number; draft: Draft }[] = []
  for (const item of items) {
    settings.signal?.throwIfAborted()
    await breathe()
    rows.push({ item, index: rows.length, draft: editableDraft(context, textOf(item)) })
  }
  const order = byLength(Int32Array.from(rows.keys()), (index) => rows[index]?.draft.state.tokens.length ?? 0)
  for (let start = 0; start < order.length; start += batchRows) {
    const batch = order.slice(start, start + batchRows).flatMap((index) => rows[index] ?? [])
    const states = batch.map(({ draft }) => draft.state)
    const histories = batch.map((): Round[] => [])
    for await (const rounds of refineRows(context, states, settings)) {
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
