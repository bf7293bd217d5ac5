// Drafts: each kind keeps its law, shares are met, and the same random numbers give the same draft.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DraftShares, recipe } from '../../src/config.js'
import { editDistance } from '../../src/merge/distance.js'
import { drawKind, makeDraft } from '../../src/merge/drafts.js'
import { randomFrom } from '../../src/random.js'

const limits = { maxLength: 40, randomToken: (random: { integer(n: number): number }) => 100 + random.integer(5) }
const anyTarget = fc.array(fc.integer({ min: 5, max: 50 }), { maxLength: 40 }).map((tokens) => Int32Array.from(tokens))
const anySeed = fc.nat()

const isSubsequence = (part: Int32Array, whole: Int32Array): boolean => {
  let at = 0
  for (const token of whole) if (token === part[at]) at++
  return at === part.length
}

describe('makeDraft', () => {
  it('subsequence, fragment, finished, empty and task keep their laws', () => {
    fc.assert(
      fc.property(anyTarget, anySeed, (target, seed) => {
        const draft = (kind: keyof DraftShares) =>
          makeDraft(kind, { target, source: Int32Array.of(7) }, limits, randomFrom(seed))
        const fragment = [...draft('fragment')]
        const isPiece = target.some((_, at) => fragment.every((token, i) => target[at + i] === token))
        const isRest = target.some((_, at) => {
          const rest = [...target]
          rest.splice(at, target.length - fragment.length)
          return rest.join() === fragment.join()
        })
        expect(isSubsequence(draft('subsequence'), target)).toBe(true)
        expect(target.length === 0 ? fragment.length === 0 : isPiece || isRest).toBe(true)
        expect([...draft('finished')]).toEqual([...target])
        expect(draft('empty')).toHaveLength(0)
        expect([...draft('task')]).toEqual([7])
      }),
    )
  })

  it('noise never makes a draft longer than the limit, and is within its bounds', () => {
    fc.assert(
      fc.property(anyTarget, anySeed, (target, seed) => {
        const draft = makeDraft('noised', { target }, limits, randomFrom(seed))
        expect(draft.length).toBeLessThanOrEqual(40)
        // At most 40 % changes, each of which moves at most four tokens.
        expect(editDistance(draft, target)).toBeLessThanOrEqual(8 * Math.max(1, Math.round(0.4 * target.length)))
        expect([...makeDraft('noised', { target }, limits, randomFrom(seed))]).toEqual([...draft])
      }),
    )
  })

  it('noise without a token to put in only deletes and moves', () => {
    const target = Int32Array.of(1, 2, 3)
    const draft = makeDraft('noised', { target }, { maxLength: 3, randomToken: () => undefined }, randomFrom(1))
    expect([...draft].every((token) => target.includes(token))).toBe(true)
  })
})

describe('drawKind', () => {
  const shares = recipe.parse({}).drafts
  const count = (example: { target: Int32Array; source?: Int32Array }) => {
    const counts: Record<string, number> = {}
    for (let row = 0; row < 10_000; row++) {
      const kind = drawKind(shares, example, randomFrom(3, 0, row, 'draft'))
      counts[kind] = (counts[kind] ?? 0) + 1
    }
    return counts
  }

  it('meets the shares', () => {
    const counts = count({ target: Int32Array.of(1), source: Int32Array.of(2) })
    for (const [kind, share] of Object.entries(shares)) expect((counts[kind] ?? 0) / 10_000).toBeCloseTo(share, 1)
  })

  it('leaves out the task where an example has no draft of its own', () => {
    expect(count({ target: Int32Array.of(1) }).task).toBeUndefined()
    const onlyTask = { task: 1, noised: 0, subsequence: 0, empty: 0, fragment: 0, finished: 0 }
    expect(drawKind(onlyTask, { target: Int32Array.of(1) }, randomFrom(0))).toBe('noised')
  })
})
