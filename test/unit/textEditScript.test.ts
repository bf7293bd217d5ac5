// Edit scripts: applyEdits(a, editScript(a, b)) === b; the longest match; the model's own trace.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { alignTokens } from '../../src/text/alignment.js'
import { boundaryMap } from '../../src/text/boundaryMap.js'
import { characterTokenizer } from '../../src/text/characterTokenizer.js'
import { applyEdits, applyTokenEdits, changesOf, editScript, tokenEditScript } from '../../src/text/editScript.js'
import { composeSource, editsFromSource } from '../../src/text/editsFromSource.js'

const shortText = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', ' ', 'e\u0301', '\u0301', '\u{1F469}\u200D\u{1F467}', '\ud800', '\r', '\n'),
})
const anyText = fc.oneof(shortText, fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 200 }))
const row = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 9 }).map((ids) => Int32Array.from(ids))

describe('editScript', () => {
  it('turns a into b', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        const edits = editScript(a, b)
        expect(applyEdits(a, edits)).toBe(b)
        expect(applyEdits(a, changesOf(edits))).toBe(b)
        // No gaps on either side; kinds say what they do.
        let end = 0
        let endAfter = 0
        for (const edit of edits) {
          expect([edit.start, edit.startAfter]).toEqual([end, endAfter])
          expect(edit.text).toBe(b.slice(edit.startAfter, edit.endAfter))
          const old = a.slice(edit.start, edit.end)
          const kind = edit.text === '' ? 'delete' : old === '' ? 'insert' : edit.kind === 'keep' ? 'keep' : 'replace'
          expect(edit.kind).toBe(kind)
          if (kind === 'keep') expect(old).toBe(edit.text)
          end = edit.end
          endAfter = edit.endAfter
        }
        expect([end, endAfter]).toEqual([a.length, b.length])
      }),
      { numRuns: 2000 },
    )
  })

  it('never cuts what a reader sees as one character', () => {
    expect(changesOf(editScript('cafe\u0301', 'cafe'))).toMatchObject([
      { kind: 'replace', start: 3, end: 5, text: 'e' },
    ])
    expect(changesOf(editScript('a\u{1F469}\u200D\u{1F467}', 'a\u{1F469}'))).toMatchObject([
      { kind: 'replace', start: 1, end: 6 },
    ])
  })

  it('says what changed', () => {
    expect(changesOf(editScript('He go to school yesteday.', 'He goes to school yesterday.'))).toMatchObject([
      { kind: 'insert', start: 5, end: 5, text: 'es' },
      { kind: 'insert', start: 21, end: 21, startAfter: 23, text: 'r' },
    ])
    expect(editScript('', '')).toEqual([])
  })

  it('prefers contiguous, then leftmost matches', () => {
    expect([...alignTokens(Int32Array.of(1, 2), Int32Array.of(1, 9, 1, 2))]).toEqual([2, 3])
    expect([...alignTokens(Int32Array.of(1), Int32Array.of(1, 1))]).toEqual([0])
    expect([...alignTokens(Int32Array.of(1, 1), Int32Array.of(1))]).toEqual([0, -1])
    expect([...alignTokens(Int32Array.of(1, 2), Int32Array.of(2, 1))]).toEqual([0 + 1, -1])
  })

  it('matches as much as brute force does, as contiguously', () => {
    fc.assert(
      fc.property(row, row, (a, b) => {
        const matches = alignTokens(a, b)
        expect(scoreOf(matches)).toBe(bruteForce(a, b))
        expect([...applyTokenEdits(a, tokenEditScript(a, b))]).toEqual([...b])
      }),
      { numRuns: 500 },
    )
  })

  it('gives the same with and without a band', () => {
    // Lengths beyond the first band of 16 diagonals; the plain program is the oracle.
    const long = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 120 }).map((ids) => Int32Array.from(ids))
    fc.assert(
      fc.property(long, long, (a, b) => scoreOf(alignTokens(a, b)) === plainScore(a, b)),
      { numRuns: 200 },
    )
  })

  it('takes 10,000 characters', () => {
    const a = Array.from({ length: 1000 }, (_, i) => `word${i * 7} x `)
      .join('')
      .slice(0, 10_000)
    const b = a.replaceAll('7', '').replaceAll('x', 'yy')
    expect(applyEdits(a, editScript(a, b))).toBe(b)
    expect(changesOf(editScript('x'.repeat(10_000), 'y'.repeat(10_000)))).toHaveLength(1)
    expect(() => editScript('x'.repeat(40_000), 'y')).toThrow(/expected at most 32767 units a side, received 40000/)
    expect(() => editScript('x'.repeat(32_000), 'y'.repeat(32_000))).toThrow(/differ too much/)
  })

  it('refuses edits that do not fit the text', () => {
    expect(() => applyEdits('abc', [{ kind: 'delete', start: 2, end: 9, text: '' }])).toThrow(/received \[2, 9\)/)
    const back = [
      { kind: 'delete', start: 2, end: 3, text: '' },
      { kind: 'delete', start: 0, end: 1, text: '' },
    ] as const
    expect(() => applyEdits('abc', back)).toThrow(/expected 3 <= start/)
    expect(() => applyEdits('abc', [{ kind: 'keep', start: 0, end: 1, text: 'x' }])).toThrow(
      'edits: expected "x" at 0, received "a"',
    )
  })
})

describe('editsFromSource', () => {
  const tokenizer = characterTokenizer({ alphabet: 'abcdefghijklmnopqrstuvwxyz .', caseShift: true })

  it('reads a round off its trace', () => {
    const before = ['t', 'o', 'o', 'm']
    const after = ['', 'T', 'o', 'm', '.']
    const edits = editsFromSource({
      before,
      after,
      source: Int32Array.of(-1, 0, 2, 3, -1),
      confidence: Float32Array.of(0.75, 1, 1, 1, 0.5),
      keep: Float32Array.of(1, 0.25, 1, 1),
    })
    expect(edits).toMatchObject([
      { kind: 'replace', start: 0, end: 2, startAfter: 0, endAfter: 1, text: 'T', confidence: 0.75 },
      { kind: 'keep', start: 2, end: 4, text: 'om', confidence: 1 },
      { kind: 'insert', start: 4, end: 4, startAfter: 3, text: '.', confidence: 0.5 },
    ])
    expect(applyEdits(before.join(''), edits)).toBe('Tom.')
  })

  it('turns the text before into the text after, whatever the round did', () => {
    const ids = fc.array(fc.integer({ min: 0, max: tokenizer.vocabularySize - 1 }), { maxLength: 30 })
    const drawn = fc.array(fc.tuple(fc.boolean(), ids), { maxLength: 30 })
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), drawn, (text, choices) => {
        const before = [...tokenizer.encode(text)]
        const after: number[] = []
        const source: number[] = []
        before.forEach((id, i) => {
          const [kept, inserted] = choices[i % Math.max(1, choices.length)] ?? [true, []]
          if (kept) source.push(i)
          if (kept) after.push(id)
          for (const other of inserted.slice(0, i % 3)) source.push(-1) && after.push(other)
        })
        const edits = editsFromSource({
          before: tokenizer.pieces(before),
          after: tokenizer.pieces(after),
          source: Int32Array.from(source),
        })
        expect(applyEdits(tokenizer.decode(before), edits)).toBe(tokenizer.decode(after))
        expect(applyEdits(tokenizer.decode(before), changesOf(edits))).toBe(tokenizer.decode(after))
      }),
      { numRuns: 1000 },
    )
  })

  it('refuses a trace that does not fit', () => {
    const [before, after] = [
      ['a', 'b'],
      ['b', 'a'],
    ]
    expect(() => editsFromSource({ before, after, source: Int32Array.of(1, 0) })).toThrow(
      /increasing indices below 2, received 0 after 1/,
    )
    expect(() => editsFromSource({ before, after, source: Int32Array.of(0) })).toThrow(
      'trace.source: expected 2 values, received 1',
    )
  })

  it('composes the sources of two rounds', () => {
    expect([...composeSource(Int32Array.of(0, -1, 2), Int32Array.of(1, 2, -1))]).toEqual([-1, 2, -1])
  })
})

describe('boundaryMap', () => {
  it('carries offsets over', () => {
    const map = boundaryMap(' hello', 'hello')
    expect([0, 1, 2, 6].map(map)).toEqual([0, 0, 1, 5])
    expect(boundaryMap('abc', 'ABC')(2)).toBe(2)
    expect(boundaryMap('', 'x')(0)).toBe(1)
  })
})

/** Matches first, contiguous pairs second. */
function scoreOf(matches: Int32Array): number {
  let score = 0
  matches.forEach((j, i) => {
    if (j >= 0) score += 1000
    if (j >= 0 && i > 0 && matches[i - 1] === j - 1 && j > 0) score += 1
  })
  return score
}

/** The best score over every pair of equal subsequences. */
function bruteForce(a: Int32Array, b: Int32Array, i = 0, from = 0, last = [-2, -2]): number {
  if (i === a.length) return 0
  let best = bruteForce(a, b, i + 1, from, last)
  for (let j = from; j < b.length; j++) {
    if (a[i] !== b[j]) continue
    const bonus = last[0] === i - 1 && last[1] === j - 1 ? 1 : 0
    best = Math.max(best, 1000 + bonus + bruteForce(a, b, i + 1, j + 1, [i, j]))
  }
  return best
}

/** The dynamic program over all cells. */
function plainScore(a: Int32Array, b: Int32Array): number {
  const best = Array.from({ length: a.length + 2 }, () => new Array<number>(b.length + 2).fill(0))
  const matched = Array.from({ length: a.length + 2 }, () => new Array<number>(b.length + 2).fill(-1e9))
  const at = (table: number[][], i: number, j: number): number => table[i]?.[j] ?? 0
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const here = a[i] === b[j] ? 1000 + Math.max(at(best, i + 1, j + 1), at(matched, i + 1, j + 1) + 1) : -1e9
      matched[i]?.splice(j, 1, here)
      best[i]?.splice(j, 1, Math.max(here, at(best, i + 1, j), at(best, i, j + 1)))
    }
  }
  return at(best, 0, 0)
}
