// EditScores: edits of units, their agreement and F0.5, by hand and against brute force.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyTokenEdits } from '../../src/text/editScript.js'
import {
  addAgreement,
  deletionAgreement,
  deletionScores,
  editScores,
  fScore,
  tokenEditAgreement,
  unitEdits,
  wordEditAgreement,
} from '../../src/training/editScores.js'

const row = (...ids: number[]): Int32Array => Int32Array.from(ids)
const plain = (before: Int32Array, after: Int32Array) =>
  unitEdits(before, after).map(({ start, end, replacement }) => [start, end, [...replacement]])

const rows = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 12 }).map((ids) => Int32Array.from(ids))

describe('unitEdits', () => {
  it.each([
    [row(1, 2, 3), row(1, 2, 3), []],
    [row(), row(1, 2), [[0, 0, [1, 2]]]],
    [row(1, 2), row(), [[0, 2, []]]],
    [row(1, 2, 3), row(1, 4, 3), [[1, 2, [4]]]],
    // two for two, then the insertion
    [
      row(1, 2, 3),
      row(1, 5, 6, 7),
      [
        [1, 2, [5]],
        [2, 3, [6]],
        [3, 3, [7]],
      ],
    ],
    // one for one, then the deletion
    [
      row(1, 2, 3, 4),
      row(5, 4),
      [
        [0, 1, [5]],
        [1, 3, []],
      ],
    ],
  ])('%o to %o', (before, after, edits) => expect(plain(before, after)).toEqual(edits))

  it('leads from the one row to the other, changes something each, and has no place twice', () => {
    fc.assert(
      fc.property(rows, rows, (before, after) => {
        const edits = unitEdits(before, after)
        const applied = applyTokenEdits(
          before,
          edits.map(({ start, end, replacement }) => ({ kind: 'replace', start, end, tokens: replacement })),
        )
        expect([...applied]).toEqual([...after])
        for (const { start, end, replacement } of edits) {
          expect([...before.slice(start, end)]).not.toEqual([...replacement])
        }
        expect(new Set(edits.map(({ start, end }) => `${start}:${end}`)).size).toBe(edits.length)
      }),
    )
  })
})

describe('tokenEditAgreement', () => {
  it('is what a comparison of every pair of edits counts', () => {
    fc.assert(
      fc.property(rows, rows, rows, (draft, result, target) => {
        const proposed = plain(draft, result)
        const wanted = plain(draft, target)
        const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
        const matched = proposed.filter((edit) => wanted.some((other) => isSame(edit, other))).length
        const expected = { matched, proposed: proposed.length, wanted: wanted.length }
        expect(tokenEditAgreement(draft, result, target)).toEqual(expected)
        expect(tokenEditAgreement(draft, target, result)).toEqual({
          matched,
          proposed: wanted.length,
          wanted: proposed.length,
        })
      }),
    )
  })

  it('is whole exactly where the result is the target', () => {
    fc.assert(
      fc.property(rows, rows, rows, (draft, result, target) => {
        const { matched, proposed, wanted } = tokenEditAgreement(draft, result, target)
        const isTarget = result.join() === target.join()
        expect(matched === proposed && matched === wanted).toBe(isTarget)
      }),
    )
  })

  it('proposes nothing where nothing was done', () => {
    expect(tokenEditAgreement(row(1, 2), row(1, 2), row(1, 3))).toEqual({ matched: 0, proposed: 0, wanted: 1 })
  })
})

describe('wordEditAgreement', () => {
  it('a missing full stop leaves the repair of the word before it', () => {
    const agreement = wordEditAgreement('in the united states', 'in the United States', 'In the United States.')
    expect(agreement).toEqual({ matched: 2, proposed: 2, wanted: 4 })
  })

  it('signs are words of their own, apostrophes inside words are not', () => {
    expect(wordEditAgreement("don't stop", "don't stop!?", "don't stop!")).toEqual({
      matched: 0,
      proposed: 1,
      wanted: 1,
    })
    expect(wordEditAgreement('dont', "don't", "don't")).toEqual({ matched: 1, proposed: 1, wanted: 1 })
  })

  it('white space parts words and is nothing else', () => {
    expect(wordEditAgreement('a  b', 'a b', 'a\tb')).toEqual({ matched: 0, proposed: 0, wanted: 0 })
    expect(wordEditAgreement('ab', 'a b', 'a b')).toEqual({ matched: 2, proposed: 2, wanted: 2 })
  })
})

describe('deletionAgreement', () => {
  it('gives up what is not above the threshold', () => {
    const keep = [0.9, 0.5, 0.2, 0.6, 0.1]
    expect(deletionAgreement(keep, [1, 1, 0, 0, 0], 0.5)).toEqual({ matched: 2, proposed: 3, wanted: 3 })
  })

  it('counts every token once', () => {
    const token = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 1))
    fc.assert(
      fc.property(fc.array(token), fc.double({ min: 0, max: 1, noNaN: true }), (tokens, threshold) => {
        const [keep, labels] = [tokens.map(([p]) => p), tokens.map(([, label]) => label)]
        expect(deletionAgreement(keep, labels, threshold)).toEqual({
          matched: tokens.filter(([p, label]) => p <= threshold && label === 0).length,
          proposed: keep.filter((p) => p <= threshold).length,
          wanted: labels.filter((label) => label === 0).length,
        })
      }),
    )
  })
})

describe('scores', () => {
  it('by hand: 3 of 4 edits are right, 3 of 6 are made', () => {
    // F0.5 = 1.25 * 0.75 * 0.5 / (0.25 * 0.75 + 0.5) = 0.46875 / 0.6875
    const scores = editScores({ matched: 3, proposed: 4, wanted: 6 })
    expect(scores).toMatchObject({ precision: { value: 0.75, n: 4 }, recall: { value: 0.5, n: 6 } })
    expect(scores.f05.value).toBeCloseTo(0.46875 / 0.6875, 12)
    expect(scores.f05.n).toBe(7)
    const deletion = deletionScores({ matched: 3, proposed: 4, wanted: 6 }, 20)
    expect(deletion.f1.value).toBeCloseTo(0.6, 12)
    expect(deletion.tokens).toBe(20)
  })

  it('F is the formula of precision and recall', () => {
    const counts = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.nat(50), fc.nat(50))
    fc.assert(
      fc.property(counts, fc.constantFrom(0.5, 1, 2), ([matched, more, missed], beta) => {
        const [precision, recall] = [matched / (matched + more), matched / (matched + missed)]
        const square = beta * beta
        const expected = ((1 + square) * precision * recall) / (square * precision + recall)
        const agreement = { matched, proposed: matched + more, wanted: matched + missed }
        expect(fScore(agreement, beta).value).toBeCloseTo(expected, 12)
      }),
    )
  })

  it('nothing to measure is null, nothing right is 0', () => {
    const nothing = { matched: 0, proposed: 0, wanted: 0 }
    const none = { value: null, n: 0 }
    expect(editScores(nothing)).toEqual({ ...nothing, precision: none, recall: none, f05: none })
    expect(fScore({ matched: 0, proposed: 2, wanted: 0 }, 0.5)).toEqual({ value: 0, n: 2 })
    expect(addAgreement({ matched: 1, proposed: 2, wanted: 3 }, { matched: 4, proposed: 5, wanted: 6 })).toEqual({
      matched: 5,
      proposed: 7,
      wanted: 9,
    })
  })
})
