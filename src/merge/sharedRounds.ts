// sharedRounds: calls of one model that are under way at the same time share their rounds. While a round runs, the rows of
// other calls gather; then all that ask for the same are one round of the engine. Nobody waits for company: a call that finds
// the model idle runs at once. A row's result is the same alone and in any batch.

import type { NativeRecord, NativeRound, NativeRows, NativeSession } from '../native.js'
import { packFlags, packRows, rowRange } from '../rows.js'

type Rounds = Pick<NativeSession, 'refineRound'>

/** What `refineRound` of a session is given. */
interface RoundRequest {
  readonly options: NativeRecord
  readonly rows: NativeRows
  readonly locked: Uint8Array
  readonly open: Uint8Array
  readonly conditions: NativeRows | undefined
  /** Requests of one key are one round; `undefined`: a request that is always alone. */
  readonly key: string | undefined
  readonly run: () => Promise<NativeRound>
  readonly resolve: (round: NativeRound) => void
  readonly reject: (reason: unknown) => void
}

/** Most tokens of a round that several calls share: beyond that, a larger batch is no faster, but all wait longer. */
const mostTokens = 8192

/** The same session, whose rounds are shared. */
export function sharedRounds(session: Rounds): Rounds {
  let waiting: RoundRequest[] = []
  let isBusy = false

  const serve = async (): Promise<void> => {
    isBusy = true
    while (waiting.length > 0) {
      const group = firstGroup(waiting)
      waiting = waiting.filter((request) => !group.includes(request))
      await answer(session, group)
    }
    isBusy = false
  }

  return {
    refineRound(options, rows, locked, open, conditions, parents) {
      return new Promise((resolve, reject) => {
        const key = parents === undefined ? keyOf(options, conditions !== undefined) : undefined
        const run = () => session.refineRound(options, rows, locked, open, conditions, parents)
        waiting.push({ options, rows, locked, open, conditions, key, run, resolve, reject })
        if (!isBusy) void serve()
      })
    },
  }
}

// Without draws a round is told apart by its options alone; its number only chooses random numbers.
function keyOf(options: NativeRecord, hasConditions: boolean): string | undefined {
  const { round, ...rest } = options
  const { temperature, generation = -1 } = rest
  const draws = temperature !== 0
  const remembers = Number(generation) >= 0
  return draws || remembers ? undefined : JSON.stringify([hasConditions, rest])
}

// The oldest request and all that can join it.
function firstGroup(waiting: readonly RoundRequest[]): RoundRequest[] {
  const [first, ...others] = waiting
  if (first === undefined || first.key === undefined) return first === undefined ? [] : [first]
  const group = [first]
  let tokens = first.rows.tokens.length
  for (const request of others) {
    if (request.key !== first.key || tokens + request.rows.tokens.length > mostTokens) continue
    group.push(request)
    tokens += request.rows.tokens.length
  }
  return group
}

async function answer(session: Rounds, group: readonly RoundRequest[]): Promise<void> {
  const [first] = group
  if (first !== undefined && group.length > 1) {
    try {
      const round = await session.refineRound(first.options, ...joined(group))
      partsOf(round, group).forEach((part, index) => {
        group[index]?.resolve(part)
      })
      return
    } catch {
      // One of them cannot be run: each alone, so that only that one fails.
    }
  }
  for (const request of group) {
    // A session that is closed throws at once.
    await Promise.resolve().then(request.run).then(request.resolve, request.reject)
  }
}

function joined(group: readonly RoundRequest[]) {
  const listOf = (rows: NativeRows): Int32Array[] =>
    Array.from({ length: rows.offsets.length - 1 }, (_, row) => rows.tokens.subarray(...rowRange(rows, row)))
  const conditions = group.flatMap((request) => (request.conditions === undefined ? [] : [request.conditions]))
  return [
    packRows(group.flatMap(({ rows }) => listOf(rows))),
    packFlags(group.map(({ locked }) => locked)),
    packFlags(group.map(({ open }) => open)),
    conditions.length === 0 ? undefined : packRows(conditions.flatMap(listOf)),
  ] as const
}

// Each request's rows of a round of all.
function partsOf(round: NativeRound, group: readonly RoundRequest[]): NativeRound[] {
  let row = 0
  let token = 0
  return group.map(({ rows }) => {
    const count = rows.offsets.length - 1
    const [start] = rowRange(round, row)
    const end = round.offsets[row + count] ?? start
    const part: NativeRound = {
      tokens: round.tokens.slice(start, end),
      offsets: round.offsets.slice(row, row + count + 1).map((offset) => offset - start),
      source: round.source.slice(start, end),
      confidence: round.confidence.slice(start, end),
      keep: round.keep.slice(token, token + rows.tokens.length),
      gate: round.gate.slice(row, row + count),
      edited: round.edited.slice(row, row + count),
      truncated: round.truncated.slice(row, row + count),
      encoderPasses: round.encoderPasses,
    }
    row += count
    token += rows.tokens.length
    return part
  })
}
