// Rounds of concurrent calls: who shares one, who gets what, and that a failure is nobody else's.
import { expect, test } from 'vitest'
import { sharedRounds } from '../../src/merge/sharedRounds.js'
import type { NativeRecord, NativeRound, NativeRows, NativeSession } from '../../src/native.js'
import { packRows, rowRange } from '../../src/rows.js'

const options = (more: NativeRecord = {}): NativeRecord => ({ temperature: 0, round: 0, generation: -1, ...more })
const row = (...tokens: number[]): Int32Array => Int32Array.from(tokens)
const flags = (count: number): Uint8Array => new Uint8Array(count)

interface Call {
  readonly options: NativeRecord
  readonly rows: number[][]
  readonly locked: number
  readonly open: number
  readonly conditions: number[][] | undefined
}

function listsOf(rows: NativeRows): number[][] {
  return Array.from({ length: rows.offsets.length - 1 }, (_, index) => [
    ...rows.tokens.subarray(...rowRange(rows, index)),
  ])
}

// Doubles every token and puts a 0 behind each row; a row with a negative token cannot be run.
function fakeSession() {
  const calls: Call[] = []
  const refineRound: NativeSession['refineRound'] = async (record, rows, locked, open, conditions) => {
    const lists = listsOf(rows)
    calls.push({
      ...{ options: record, rows: lists, locked: locked.length, open: open.length },
      conditions: conditions === undefined ? undefined : listsOf(conditions),
    })
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (lists.flat().some((token) => token < 0)) throw new Error('a bad token')
    const after = lists.map((tokens) => row(...tokens.map((token) => 2 * token), 0))
    const round: NativeRound = {
      ...packRows(after),
      source: Int32Array.from(lists.flatMap((tokens) => [...tokens.keys(), -1])),
      confidence: Float32Array.from(after.flatMap((tokens) => [...tokens])),
      keep: Float32Array.from(lists.flat()),
      gate: Float32Array.from(lists.map((tokens) => tokens.length)),
      edited: Uint8Array.from(lists.map((tokens) => tokens.length % 2)),
      truncated: flags(lists.length),
      encoderPasses: 2,
    }
    return round
  }
  return { calls, refineRound }
}

function ask(
  session: Pick<NativeSession, 'refineRound'>,
  record: NativeRecord,
  lists: readonly Int32Array[],
  more?: NativeRows,
) {
  const tokens = lists.reduce((sum, list) => sum + list.length, 0)
  return session.refineRound(record, packRows(lists), flags(tokens), flags(tokens + lists.length), more)
}

test('the first call runs at once, those that come meanwhile share the next round', async () => {
  const fake = fakeSession()
  const shared = sharedRounds(fake)
  const asked = [[row(1, 2)], [row(3)], [row(4, 5, 6), row()], [row(7)]]
  const answers = await Promise.all(asked.map((lists, index) => ask(shared, options({ round: index }), lists)))
  expect(fake.calls.map(({ rows }) => rows)).toEqual([[[1, 2]], [[3], [4, 5, 6], [], [7]]])
  expect(fake.calls[1]).toMatchObject({ locked: 5, open: 9 })
  // Each gets what it would get alone.
  for (const [index, lists] of asked.entries()) {
    expect(answers[index]).toEqual(await ask(fakeSession(), options(), lists))
  }
})

test('what asks for something else, draws or remembers runs alone', async () => {
  const fake = fakeSession()
  const shared = sharedRounds(fake)
  const others = [{ mode: 'gen' }, { temperature: 1 }, { temperature: 1 }, { generation: 4 }, { generation: 4 }, {}, {}]
  await Promise.all([options(), ...others.map(options)].map((record, index) => ask(shared, record, [row(index)])))
  expect(fake.calls.map(({ rows }) => rows.flat())).toEqual([[0], [1], [2], [3], [4], [5], [6, 7]])
})

test('conditions go with their rows', async () => {
  const fake = fakeSession()
  const shared = sharedRounds(fake)
  await Promise.all([
    ask(shared, options(), [row(1)]),
    ask(shared, options(), [row(2)], packRows([row(9)])),
    ask(shared, options(), [row(3)]),
    ask(shared, options(), [row(4), row(5)], packRows([row(), row(8, 8)])),
  ])
  expect(fake.calls.map(({ rows, conditions }) => [rows.flat(), conditions])).toEqual([
    [[1], undefined],
    [
      [2, 4, 5],
      [[9], [], [8, 8]],
    ],
    [[3], undefined],
  ])
})

test('a call that cannot be run fails alone', async () => {
  const fake = fakeSession()
  const shared = sharedRounds(fake)
  const results = await Promise.allSettled([1, 2, -3, 4].map((token) => ask(shared, options(), [row(token)])))
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect(results[3]).toMatchObject({ value: { tokens: row(8, 0) } })
  expect(results[2]).toMatchObject({ reason: new Error('a bad token') })
  // And the next one runs.
  expect((await ask(shared, options(), [row(6)])).tokens).toEqual(row(12, 0))
})

test('a session that throws at once rejects, and goes on', async () => {
  let isClosed = true
  const fake = fakeSession()
  const refineRound: NativeSession['refineRound'] = (...given) => {
    if (isClosed) throw new Error('closed')
    return fake.refineRound(...given)
  }
  const shared = sharedRounds({ refineRound })
  await expect(ask(shared, options(), [row(1)])).rejects.toThrow('closed')
  isClosed = false
  expect((await ask(shared, options(), [row(1)])).tokens).toEqual(row(2, 0))
})

test('a shared round has an end', async () => {
  const fake = fakeSession()
  const shared = sharedRounds(fake)
  const long = new Int32Array(5000)
  await Promise.all([[row(1)], [long], [long], [row(2)]].map((lists) => ask(shared, options(), lists)))
  expect(fake.calls.map(({ rows }) => rows.map((tokens) => tokens.length))).toEqual([[1], [5000, 1], [5000]])
})
