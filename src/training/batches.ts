// Batches: an endless stream of packed rows of like length, a pure function of the data and (seed, epoch, pool, step).

import type { CommonRecipe } from '../config.js'
import { MergeError } from '../errors.js'
import { type Random, randomFrom } from '../random.js'
import type { Corruption } from '../text/corruption.js'
import { type Example, fromIterable } from '../text/dataset.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { pace } from './pace.js'
import type { Task, TaskBatch, TokenExample } from './task.js'

/** Finished texts, or examples, that can be gone through more than once. A list is shuffled as a whole, a stream pool by pool. */
export type Dataset = Iterable<string | Example> | AsyncIterable<string | Example>

/** Where the stream stands: all it needs to go on, together with the data and the recipe. */
export interface BatchPosition {
  readonly step: number
  readonly epoch: number
  /** Pools of this epoch that are used up. */
  readonly pool: number
  /** Batches of this pool that are used up. */
  readonly batch: number
  /** Rows left out as too long in the epochs before this one. */
  readonly dropped: number
}

export const firstPosition: BatchPosition = { step: 0, epoch: 0, pool: 0, batch: 0, dropped: 0 }

export interface Batch extends TaskBatch {
  /** From 0. */
  readonly epoch: number
  /** Rows left out as too long, since the stream began. */
  readonly dropped: number
  /** Where the stream stands after this batch. */
  readonly next: BatchPosition
}

/** What the stream needs beside the data. */
export interface BatchContext {
  readonly tokenizer: Tokenizer
  /** Most tokens of a row. */
  readonly maxLength: number
  readonly recipe: Pick<CommonRecipe, 'seed' | 'batchRows' | 'batchTokens' | 'poolRows' | 'tooLong'>
  readonly task: Pick<Task, 'lengthOf' | 'rows' | 'readsConditions'>
  /** Makes the draft of an example that has none of its own, anew in every epoch. */
  readonly corruption?: Corruption | undefined
  readonly start?: BatchPosition
}

/** The stream of batches. It gives way to the event loop every few milliseconds. */
export async function* batches(dataset: Dataset, context: BatchContext): AsyncGenerator<Batch, void, undefined> {
  const { recipe, start = firstPosition } = context
  const breathe = pace()
  let { step, dropped } = start
  for (let epoch = start.epoch; ; epoch++) {
    const stepsBefore = step
    let pool = 0
    let droppedHere = 0
    for await (const rows of pools(dataset, context, epoch)) {
      droppedHere += rows.dropped
      const resumed = epoch === start.epoch && pool === start.pool
      const skipped = epoch === start.epoch && pool < start.pool
      const groups = skipped
        ? []
        : groupByLength(rows.examples, recipe, randomFrom(recipe.seed, epoch, pool, 'batches'))
      for (let batch = resumed ? start.batch : 0; batch < groups.length; batch++) {
        await breathe()
        const group = groups[batch] ?? []
        const next = { step: step + 1, epoch, pool, batch: batch + 1, dropped }
        yield { ...rowsOf(group, rows.examples, context.task, step), epoch, dropped: dropped + droppedHere, next }
        step++
      }
      pool++
    }
    dropped += droppedHere
    const resumedAtEnd = epoch === start.epoch && (start.pool > 0 || start.batch > 0)
    if (step === stepsBefore && !resumedAtEnd) throw emptyEpoch(epoch, dropped)
  }
}

/** Makes the next item while the last one is in use. */
export async function* prefetched<T>(source: AsyncGenerator<T, void, undefined>): AsyncGenerator<T, void, undefined> {
  const ask = (): Promise<IteratorResult<T, void>> => {
    const answer = source.next()
    // The error is thrown where the item is asked for; until then it is no unhandled rejection.
    answer.catch(() => undefined)
    return answer
  }
  let pending = ask()
  try {
    for (;;) {
      const answer = await pending
      if (answer.done === true) return
      pending = ask()
      yield answer.value
    }
  } finally {
    await source.return()
  }
}

interface Pool {
  readonly examples: readonly TokenExample[]
  readonly dropped: number
}

async function* pools(dataset: Dataset, context: BatchContext, epoch: number): AsyncGenerator<Pool> {
  const { poolRows, seed } = context.recipe
  const breathe = pace()
  let examples: TokenExample[] = []
  let dropped = 0
  let index = 0
  for await (const example of fromIterable(ordered(dataset, randomFrom(seed, epoch, 0, 'order')))) {
    await breathe()
    const tokens = tokenized(example, context, { epoch, index })
    index++
    if (tokens === undefined) dropped++
    else examples.push(tokens)
    if (examples.length === poolRows) {
      yield { examples, dropped }
      examples = []
      dropped = 0
    }
  }
  if (examples.length > 0 || dropped > 0) yield { examples, dropped }
}

// A list in another order each epoch; a stream as it comes.
function ordered(dataset: Dataset, random: Random): Dataset {
  return Array.isArray(dataset) ? inOrder<string | Example>(dataset, permutation(dataset.length, random)) : dataset
}

function* inOrder<T>(items: readonly T[], order: Int32Array): Generator<T> {
  for (const index of order) yield* items.slice(index, index + 1)
}

// The whole numbers below `count` in random order.
function permutation(count: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last--) {
    const other = random.integer(last + 1)
    const moved = order[last] ?? 0
    order[last] = order[other] ?? 0
    order[other] = moved
  }
  return order
}

function tokenized(
  example: Example,
  context: BatchContext,
  place: { epoch: number; index: number },
): TokenExample | undefined {
  const { tokenizer, corruption, recipe } = context
  const random = randomFrom(recipe.seed, place.epoch, place.index, 'corruption')
  const text = example.source ?? corruption?.(example.target, random)
  const target = tokenizer.encode(example.target)
  const source = text === undefined ? undefined : tokenizer.encode(text)
  const condition = example.condition === undefined ? undefined : tokenizer.encode(example.condition)
  if (condition !== undefined && context.task.readsConditions !== true) {
    throw new MergeError(
      'ERR_INPUT',
      `data: condition: expected none, as this kind of model reads none, received one in row ${place.index} of epoch ${place.epoch}`,
    )
  }
  const tokens = { target, source, condition, example }
  const longest = context.task.lengthOf(tokens)
  if (longest <= context.maxLength) return tokens
  if (recipe.tooLong === 'drop') return undefined
  throw new MergeError(
    'ERR_INPUT',
    `data: expected rows of at most ${context.maxLength} tokens (maxLength), received ${longest} in row ${place.index} of epoch ` +
      `${place.epoch}: ${JSON.stringify(example.target.slice(0, 60))}; recipe.tooLong: "drop" leaves such rows out`,
    { details: { ...place, tokens: longest, maxLength: context.maxLength } },
  )
}

// Batches of rows of like length, in random order. Rows of one length meet in another order each epoch.
function groupByLength(examples: readonly TokenExample[], recipe: BatchContext['recipe'], random: Random): number[][] {
  const lengthAt = (index: number): number => examples[index]?.target.length ?? 0
  const groups: number[][] = []
  let group: number[] = []
  let tokens = 0
  for (const index of byLength(permutation(examples.length, random), lengthAt)) {
    if (group.length === recipe.batchRows || (group.length > 0 && tokens + lengthAt(index) > recipe.batchTokens)) {
      groups.push(group)
      group = []
      tokens = 0
    }
    group.push(index)
    tokens += lengthAt(index)
  }
  if (group.length > 0) groups.push(group)
  return [...inOrder(groups, permutation(groups.length, random))]
}

/** A stable sort by length in linear time: a comparison sort of a large pool would hold the event loop. */
export function byLength(order: Int32Array, lengthAt: (index: number) => number): number[] {
  const buckets: number[][] = []
  for (const index of order) {
    const length = lengthAt(index)
    while (buckets.length <= length) buckets.push([])
    buckets[length]?.push(index)
  }
  return buckets.flat()
}

function rowsOf(group: readonly number[], pool: readonly TokenExample[], task: BatchContext['task'], step: number) {
  const batch = group.flatMap((index) => pool[index] ?? [])
  return { ...task.rows(batch, pool, step), examples: batch.map(({ example }) => example) }
}

function emptyEpoch(epoch: number, dropped: number): MergeError {
  const why =
    dropped > 0
      ? `received only ${dropped} that are too long`
      : epoch === 0
        ? 'received none'
        : 'received none the second time'
  return new MergeError('ERR_INPUT', `data: expected at least one example in epoch ${epoch}, ${why}`)
}
