// The loop of mask-predict: all masks first; each native call fills them and masks the least sure again, fewer each time;
// rows that have no mask left leave.

import { z } from 'zod'
import { above, number, seed, whole } from '../config/fields.js'
import { isMergeError, MergeError } from '../errors.js'
import type { NativeSession } from '../native.js'
import { hashOf } from '../random.js'
import { packRows, rowRange } from '../rows.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { masksAfter } from './maskSchedule.js'

/** How targets are filled. */
export const maskgitFillConfig = z.strictObject({
  maxRounds: whole(1, 1000).default(8).describe('T, rounds in which a target is filled; short ones need fewer'),
  schedule: z
    .enum(['linear', 'cosine'])
    .default('cosine')
    .describe('masks after each round; linear: equal parts (mask-predict), cosine: few are settled at first (MaskGIT)'),
  remask: z
    .enum(['fresh', 'any'])
    .default('fresh')
    .describe('what may become a mask again: what this round wrote (MaskGIT), or any token (mask-predict)'),
  lengths: whole(1, 64)
    .default(1)
    .describe('lengths that are tried for each source; the most probable target wins (mask-predict)'),
  temperature: number(0, 100).default(0).describe('of tokens; 0: the most probable one'),
  topK: whole(0, 1e6).default(0).describe('sample among the k most probable tokens; 0: all'),
  topP: above(0, 1).default(1).describe('sample among the most probable tokens that hold this mass'),
  orderTemperature: number(0, 100)
    .default(0)
    .describe('Gumbel noise on what is settled first, falling to 0 (choice temperature of MaskGIT)'),
  seed,
  batchRows: whole(1, 65536).default(64).describe('most rows filled together'),
  signal: z
    .instanceof(AbortSignal, { error: 'expected an AbortSignal' })
    .optional()
    .describe('ends the call after the running round'),
})

export type MaskGitFillConfig = Readonly<z.output<typeof maskgitFillConfig>>
export type MaskGitFillOptions = z.input<typeof maskgitFillConfig>

/** What the loop needs of a model. */
export interface MaskGitContext {
  readonly session: Pick<NativeSession, 'predictLengths' | 'denoise' | 'forget'>
  readonly tokenizer: Tokenizer
  readonly maxLength: number
  readonly lengthRange: number
}

/** What a target is written for. */
export interface FillRequest {
  /** The source between its markers, or the first marker alone. */
  readonly condition: Int32Array
  /** Tokens of the target; absent: as the model predicts. */
  readonly length?: number
  /** Whose random numbers. */
  readonly key?: number
}

/** A target on its way. */
export interface FillState {
  /** Index of the request. */
  readonly row: number
  readonly tokens: Int32Array
  /** Probability of each token when it was written, 0 of a mask. */
  readonly confidence: Float32Array
  /** Probabilities of the tokens that this round wrote and kept. */
  readonly fresh: Float32Array
  readonly done: boolean
  /** Passes of the network. */
  readonly passes: number
}

interface ActiveRow {
  readonly row: number
  readonly key: number
  /** Log-probability of its length. */
  readonly lengthScore: number
  readonly tokens: Int32Array
  readonly confidence: Float32Array
}

let generations = 0

/**
 * Fills targets together; yields the state of every row that was still active after each round. With several lengths a
 * row all its rounds come at once, when it is known which length has won. An aborted signal rejects with its reason.
 */
export async function* fillRows(
  context: MaskGitContext,
  requests: readonly FillRequest[],
  settings: MaskGitFillConfig,
): AsyncGenerator<readonly FillState[], void, undefined> {
  const { session, lengthRange, maxLength } = context
  if (settings.lengths > Math.min(lengthRange, maxLength) + 1) {
    const most = Math.min(lengthRange, maxLength) + 1
    throw new MergeError('ERR_CONFIG', `lengths: expected at most ${most}, received ${settings.lengths}`)
  }
  const generation = generations++
  try {
    settings.signal?.throwIfAborted()
    const rows = await openRows(context, requests, settings, generation)
    const rounds = filledRounds(context, rows, settings, generation)
    if (settings.lengths === 1) yield* rounds
    else yield* winners(rows, rounds)
  } finally {
    // A model that was disposed has forgotten already.
    await session.forget(generation, new Int32Array(0)).catch((error: unknown) => {
      if (!isMergeError(error, 'ERR_DISPOSED') && !isMergeError(error, 'ERR_ABORTED')) throw error
    })
  }
}

// 1) read the sources, and begin a row of masks for each length
async function openRows(
  { session, tokenizer }: MaskGitContext,
  requests: readonly FillRequest[],
  { lengths: count }: MaskGitFillConfig,
  generation: number,
): Promise<ActiveRow[]> {
  const sources = packRows(requests.map(({ condition }) => condition))
  const slots = Int32Array.from(requests.keys())
  const positions = positionsOf(sources.offsets, 0)
  const predicted = await session.predictLengths({ count }, { ...sources, generation, slots, positions })
  const begin = (row: number, length: number, probability: number): ActiveRow => {
    const { key, condition } = requests[row] ?? { condition: sources.tokens }
    return {
      row,
      key: key ?? hashOf(Int32Array.from([...condition, length])),
      lengthScore: Math.log(probability),
      tokens: new Int32Array(length).fill(tokenizer.special.mask),
      confidence: new Float32Array(length),
    }
  }
  return requests.flatMap(({ length }, row) => {
    if (length !== undefined) return [begin(row, length, 1)]
    const places = Array.from({ length: count }, (_, index) => row * count + index)
    return places.map((place) => begin(row, predicted.lengths[place] ?? 0, predicted.probability[place] ?? 0))
  })
}

// 2) fill, and mask the least sure again, until no mask is left
async function* filledRounds(
  { session, tokenizer }: MaskGitContext,
  rows: readonly ActiveRow[],
  settings: MaskGitFillConfig,
  generation: number,
): AsyncGenerator<readonly FillState[], void, undefined> {
  const { mask, pad, bos, eos, sep } = tokenizer.special
  const { temperature, topK, topP, seed, maxRounds, schedule } = settings
  const options = { temperature, topK, topP, seed, vocabulary: tokenizer.vocabularySize }
  const forbidden = Int32Array.from([pad, bos, eos, sep].filter((id) => id >= 0))
  let active = rows
  for (let round = 1; active.length > 0; round++) {
    settings.signal?.throwIfAborted()
    // A target without any token is filled as it stands.
    const asked = active.filter(({ tokens }) => tokens.length > 0)
    const packed = packRows(asked.map(({ tokens }) => tokens))
    const fates = Uint8Array.from(packed.tokens, (token) => (settings.remask === 'fresh' && token !== mask ? 1 : 0))
    const column = (number: (row: ActiveRow) => number) => Float64Array.from(asked, number)
    const freeOf = ({ tokens }: ActiveRow): number =>
      settings.remask === 'any' ? tokens.length : tokens.reduce((sum, token) => sum + (token === mask ? 1 : 0), 0)
    const columns = {
      masks: column((row) =>
        masksAfter(schedule, { length: row.tokens.length, free: freeOf(row), round, rounds: maxRounds }),
      ),
      key: column(({ key }) => key),
      draw: column(() => round - 1),
      noise: column(() => settings.orderTemperature * (1 - round / maxRounds)),
      confidence: Float64Array.from(asked.flatMap(({ confidence }) => [...confidence])),
    }
    const slots = Int32Array.from(asked, ({ row }) => row)
    const cached = { ...packed, generation, slots, positions: positionsOf(packed.offsets, 1) }
    const filled = asked.length === 0 ? undefined : await session.denoise(options, cached, fates, forbidden, columns)
    settings.signal?.throwIfAborted()
    const next: ActiveRow[] = []
    let place = 0
    const states = active.map((before): FillState => {
      const [start, end] = before.tokens.length > 0 ? rowRange(packed, place++) : [0, 0]
      const tokens = filled?.tokens.slice(start, end) ?? before.tokens
      const confidence = Float32Array.from(tokens, (token, index) =>
        token === mask ? 0 : (filled?.probability[start + index] ?? 0),
      )
      const done = !tokens.includes(mask)
      if (!done) next.push({ ...before, tokens, confidence })
      return {
        ...{ row: before.row, tokens, confidence, done },
        fresh: confidence.filter((_, index) => before.tokens[index] === mask && tokens[index] !== mask),
        // The source is read in the first round.
        passes: (tokens.length > 0 ? 1 : 0) + (round === 1 ? 1 : 0),
      }
    })
    yield states
    active = next
  }
}

// 3) of several lengths, the one whose target is the most probable
async function* winners(
  rows: readonly ActiveRow[],
  rounds: AsyncGenerator<readonly FillState[], void, undefined>,
): AsyncGenerator<readonly FillState[], void, undefined> {
  const histories = rows.map((): FillState[] => [])
  let active = [...rows.keys()]
  for await (const states of rounds) {
    for (const [place, state] of states.entries()) histories[active[place] ?? -1]?.push(state)
    active = active.filter((_, place) => states[place]?.done === false)
  }
  const best = new Map<number, { score: number; history: readonly FillState[] }>()
  for (const [index, history] of histories.entries()) {
    const { row = -1, lengthScore = 0 } = rows[index] ?? {}
    const tokens = history.at(-1)?.confidence ?? new Float32Array(0)
    // Decision: the mean over tokens and length. The paper's, over tokens alone, prefers lengths that nothing asks for.
    const score = tokens.reduce((sum, value) => sum + Math.log(value), lengthScore) / (tokens.length + 1)
    // Ties go to the more probable length, which comes first.
    if (score > (best.get(row)?.score ?? Number.NEGATIVE_INFINITY)) best.set(row, { score, history })
  }
  const chosen = [...best.values()].map(({ history }) => history)
  for (let round = 0; chosen.some((history) => round < history.length); round++) {
    yield chosen.flatMap((history) => history.slice(round, round + 1))
  }
}

// Tokens of a target stand where those of its source do, behind the first marker.
function positionsOf(offsets: Int32Array, first: number): Int32Array {
  const positions = new Int32Array(offsets.at(-1) ?? 0)
  for (let row = 0; row + 1 < offsets.length; row++) {
    const [start, end] = [offsets[row] ?? 0, offsets[row + 1] ?? 0]
    for (let index = start; index < end; index++) positions[index] = first + index - start
  }
  return positions
}
