// Locked tokens and open gaps across rounds.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  deletedTokens,
  draftState,
  growingState,
  insertedSpans,
  nextState,
  type RowState,
} from '../../src/merge/rowState.js'

const change = (source: number[], tokens = source.map((index) => (index < 0 ? 99 : index))) => ({
  tokens: Int32Array.from(tokens),
  source: Int32Array.from(source),
  confidence: Float32Array.from(source, (index) => (index < 0 ? 0.5 : 1)),
})

describe('row state', () => {
  it('closes the gaps inside a locked span only', () => {
    const state = draftState(Int32Array.of(5, 6, 7, 8), [[1, 3]])
    expect([...state.locked]).toEqual([0, 1, 1, 0])
    expect([...state.open]).toEqual([1, 1, 0, 1, 1])
  })

  it('leaves the gap between two locked spans that touch', () => {
    const state = draftState(Int32Array.of(5, 6, 7, 8), [
      [0, 2],
      [2, 4],
    ])
    expect([...state.open]).toEqual([1, 0, 1, 0, 1])
  })

  it('an empty row has one gap, an empty span locks nothing', () => {
    expect([...draftState(new Int32Array(0)).open]).toEqual([1])
    expect([...draftState(Int32Array.of(1, 2), [[1, 1]]).open]).toEqual([1, 1, 1])
  })

  it('grows only where it may', () => {
    const state = growingState(Int32Array.of(5, 6), [1])
    expect([...state.locked]).toEqual([1, 1])
    expect([...state.open]).toEqual([0, 2, 0])
    const next = nextState(state, change([0, -1, -1, 1]))
    expect([...next.locked]).toEqual([1, 0, 0, 1])
    expect([...next.open]).toEqual([0, 1, 1, 1, 0])
  })

  it('a gap is open if a gap it covers was', () => {
    // Tokens 1 and 2 are deleted: the gap between 0 and 3 covers gaps 1, 2 and 3, of which 1 and 2 were open.
    const state: RowState = { ...draftState(Int32Array.of(5, 6, 7, 8)), open: Uint8Array.of(0, 1, 1, 0, 0) }
    expect([...nextState(state, change([0, 3])).open]).toEqual([0, 1, 0])
  })

  it('keeps the confidence of earlier rounds', () => {
    const first = nextState(draftState(Int32Array.of(5, 6)), change([0, -1, 1], [5, 99, 6]))
    const second = nextState(first, change([0, 1, 2], [5, 99, 6]))
    expect([...second.confidence]).toEqual([1, 0.5, 1])
  })

  it('tells what was deleted and inserted', () => {
    const source = Int32Array.of(-1, 1, -1, -1, 3)
    expect([...deletedTokens(source, 5)]).toEqual([0, 2, 4])
    expect(insertedSpans(source)).toEqual([
      [0, 1],
      [2, 4],
    ])
  })

  it('never opens a gap inside a locked span that stays', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.boolean()),
        (before, length, flips) => {
          const end = before + length
          const state = draftState(
            Int32Array.from({ length: end + 2 }, (_, i) => i),
            [[before, end]],
          )
          // Insert wherever it is allowed and the coin says so; delete whatever is not locked and the coin says so.
          const source: number[] = []
          for (let index = 0; index <= end + 2; index++) {
            if (state.open[index] === 1 && flips[2 * index] === true) source.push(-1)
            if (index < end + 2 && (state.locked[index] === 1 || flips[2 * index + 1] !== true)) source.push(index)
          }
          const next = nextState(state, change(source))
          const at = source.indexOf(before)
          return source
            .slice(at, at + length)
            .every(
              (index, i) => index === before + i && next.locked[at + i] === 1 && (i === 0 || next.open[at + i] === 0),
            )
        },
      ),
    )
  })
})
