// The loop of refinement over a fake session: rows leave when they are done, and every loop ends.
import { describe, expect, it } from 'vitest'
import { refineConfig } from '../../src/config.js'
import type { Round } from '../../src/editor.js'
import { refineRows } from '../../src/merge/refine.js'
import { draftState, growingState } from '../../src/merge/rowState.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { type FakeBehaviour, fakeSession } from './fakeSession.js'

const tokenizer = byteTokenizer()
const encode = (text: string) => tokenizer.encode(text)
const id = (letter: string) => encode(letter)[0] ?? -1
const settings = (options: object = {}) => refineConfig.parse(options)

const limits = { tokenizer, maxLength: 32, condition: 'carry', countSource: 'counts', encodings: 'two' } as const

async function rounds(
  behaviour: FakeBehaviour,
  drafts: string[],
  options: object = {},
): Promise<{ rounds: Round[]; calls: number[] }> {
  const session = fakeSession(behaviour)
  const found: Round[] = []
  const states = drafts.map((draft) => draftState(encode(draft)))
  for await (const batch of refineRows({ session, ...limits }, states, settings(options))) found.push(...batch)
  return { rounds: found, calls: session.calls }
}

// Appends an x in each round until the row has five tokens.
const growToFive: FakeBehaviour = {
  round: ({ tokens }) => {
    const kept = tokens.map((_, index) => ({ keep: index }))
    return tokens.length < 5 ? [...kept, { insert: id('x') }] : kept
  },
}

describe('refineRows', () => {
  it('rows finish on their own and leave the batch', async () => {
    const { rounds: found, calls } = await rounds(growToFive, ['abc', 'abcde', 'abcd'])
    expect(calls).toEqual([3, 2, 1])
    const last = found.filter((round) => round.stopReason !== undefined)
    expect(last.map(({ row, round, text, stopReason }) => [row, round, text, stopReason])).toEqual([
      [1, 1, 'abcde', 'converged'],
      [2, 2, 'abcdx', 'converged'],
      [0, 3, 'abcxx', 'converged'],
    ])
  })

  it('reports what a round did', async () => {
    const replaceLast: FakeBehaviour = { round: () => [{ keep: 0 }, { insert: id('t'), confidence: 0.95 }] }
    const { rounds: found } = await rounds(replaceLast, ['ad'])
    expect(found).toHaveLength(1)
    const [round] = found
    expect(round).toMatchObject({
      row: 0,
      round: 1,
      text: 'at',
      gate: 0.75,
      edited: true,
      truncated: false,
      stopReason: 'confident',
    })
    expect([...(round?.deleted ?? [])]).toEqual([1])
    expect(round?.inserted).toEqual([[1, 2]])
    expect(round?.roundConfidence).toBeCloseTo(0.95, 6)
    expect(round?.edits).toMatchObject([{ kind: 'replace', start: 1, end: 2, text: 't' }])
    expect([...(round?.keep ?? [])]).toEqual([0.875, 0.25])
  })

  it('ends a cycle', async () => {
    const flip: FakeBehaviour = { round: ({ tokens }) => [{ insert: tokens[0] === id('a') ? id('b') : id('a') }] }
    const { rounds: found } = await rounds(flip, ['a'])
    expect(found.map((round) => round.stopReason)).toEqual([undefined, 'cycle'])
  })

  it.each([0, Number.NaN, 0.5])('ends after maxRounds with confidence %s', async (confidence) => {
    const grow: FakeBehaviour = {
      round: ({ tokens }) => [...tokens.map((_, index) => ({ keep: index })), { insert: id('x'), confidence }],
    }
    const { rounds: found } = await rounds(grow, ['', 'a'], { maxRounds: 4 })
    expect(found.filter((round) => round.stopReason === 'exhausted').map((round) => round.row)).toEqual([0, 1])
    expect(found).toHaveLength(8)
  })

  it('locked tokens and closed gaps reach the engine in every round', async () => {
    const seen: [number[], number[]][] = []
    const session = fakeSession({
      round: ({ tokens, locked, open }) => {
        seen.push([locked, open])
        return tokens.length < 4
          ? [{ keep: 0 }, { insert: id('x') }, ...tokens.slice(1).map((_, i) => ({ keep: i + 1 }))]
          : tokens.map((_, i) => ({ keep: i }))
      },
    })
    const state = growingState(encode('ab'), [1])
    for await (const _ of refineRows({ session, ...limits }, [state], settings()));
    expect(seen).toEqual([
      [
        [1, 1],
        [0, 2, 0],
      ],
      [
        [1, 0, 1],
        [0, 1, 1, 0],
      ],
      [
        [1, 0, 0, 1],
        [0, 1, 1, 1, 0],
      ],
    ])
  })

  it('with the draft as condition every round sees the row as it was given', async () => {
    const session = fakeSession(growToFive)
    const seen: string[] = []
    const watched = {
      ...session,
      refineRound: (...call: Parameters<typeof session.refineRound>) => {
        const conditions = call[4]
        if (conditions !== undefined) seen.push(`${conditions.tokens.join()}|${conditions.offsets.join()}`)
        return session.refineRound(...call)
      },
    }
    const states = [draftState(encode('a')), draftState(encode('bcd'))]
    for await (const _ of refineRows({ ...limits, session: watched, condition: 'draft' }, states, settings()));
    expect(seen.length).toBeGreaterThan(1)
    expect(new Set(seen).size).toBeLessThanOrEqual(2)
    expect(seen[0]).toBe(`${encode('abcd').join()}|0,1,4`)
  })

  it('an aborted signal rejects with its reason, before the first round and after the running one', async () => {
    const controller = new AbortController()
    const session = fakeSession(growToFive)
    const loop = refineRows({ session, ...limits }, [draftState(encode('a'))], settings({ signal: controller.signal }))
    await loop.next()
    const running = loop.next()
    controller.abort()
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
    expect(session.calls).toHaveLength(2)
    const reason = new Error('enough')
    const late = refineRows(
      { session, ...limits },
      [draftState(encode('a'))],
      settings({ signal: AbortSignal.abort(reason) }),
    )
    await expect(late.next()).rejects.toBe(reason)
    expect(session.calls).toHaveLength(2)
  })

  it('goes on while a mask waits, whatever the stop rule would say, and leaves none at the end', async () => {
    const { mask } = tokenizer.special
    const thresholds: unknown[] = []
    // Two masks in the first round; then, below the threshold, one of them a round.
    const behaviour: FakeBehaviour = {
      round: ({ tokens }, { fillThreshold }) => {
        thresholds.push(fillThreshold)
        if (!tokens.includes(mask))
          return [{ keep: 0 }, { insert: mask, confidence: 0 }, { insert: mask, confidence: 0 }]
        const first = tokens.indexOf(mask)
        return tokens.map((token, index) =>
          index === first || (token === mask && fillThreshold === 0)
            ? { keep: index, fill: id('x'), confidence: 0.95 }
            : { keep: index, ...(token === mask ? { confidence: 0 } : {}) },
        )
      },
    }
    const long = await rounds(behaviour, ['a'], { fillThreshold: 0.5 })
    expect(long.rounds.map(({ text, stopReason }) => [text, stopReason])).toEqual([
      ['a', undefined],
      ['ax', undefined],
      ['axx', 'confident'],
    ])
    expect([...(long.rounds[2]?.confidence ?? [])].map((value) => Math.round(100 * value))).toEqual([100, 95, 95])
    expect(long.rounds[2]?.roundConfidence).toBeCloseTo(0.95)
    const short = await rounds(behaviour, ['a'], { fillThreshold: 0.5, maxRounds: 2 })
    expect(short.rounds.at(-1)?.text).toBe('axx')
    expect(thresholds).toEqual([0.5, 0.5, 0.5, 0.5, 0])
  })

  it('no draft, no call', async () => {
    expect(await rounds(growToFive, [])).toEqual({ rounds: [], calls: [] })
  })
})
