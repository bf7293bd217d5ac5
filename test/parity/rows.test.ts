// A row's numbers are its own: alone, in any batch, beside any neighbours.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EditResult } from '../../src/editor.js'
import { MergeModel } from '../../src/model.js'
import type { NativeSession } from '../../src/native.js'
import { randomFrom } from '../../src/random.js'
import { packRows, rowRange } from '../../src/rows.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { goldenNames, numberOf, openGolden, refineOnce, worstError } from './golden.js'

const tolerance = 1e-4
const outputs = ['hidden', 'logits', 'keep', 'gate', 'score', 'counts'] as const

describe.each(goldenNames)('rows of the %s golden model', (name) => {
  let session: NativeSession
  let vocabulary = 0
  let maxLength = 0
  let worst = 0

  beforeAll(async () => {
    const opened = await openGolden(name)
    session = opened.session
    vocabulary = numberOf(opened.golden.config, 'vocabulary')
    maxLength = numberOf(opened.golden.config, 'maxLength')
  })
  afterAll(async () => {
    console.log(`${name}: worst difference between a row alone and in a batch ${worst.toExponential(1)}`)
    await session.dispose()
  })

  // Lengths 0, 1, the longest, and others; tokens by seed and row, some of them masks.
  const rowOf = (seed: number, row: number, length: number) => {
    const random = randomFrom(seed, 0, row, 'rows.test')
    return Int32Array.from({ length }, () => (random.next() < 0.1 ? 3 : 5 + random.integer(vocabulary - 5)))
  }
  const lengthOf = (row: number) => [0, 1, maxLength, 7, 3, 12, 20][row % 7] ?? 0
  const batchOf = (seed: number, count: number) => Array.from({ length: count }, (_, r) => rowOf(seed, r, lengthOf(r)))

  const inspected = async (rows: readonly Int32Array[]) => {
    const arrays = await session.inspect(packRows(rows), outputs)
    return rows.map((row, r) => {
      const before = rows.slice(0, r).reduce((sum, other) => sum + other.length, 0)
      const part = (output: (typeof outputs)[number]) => {
        const { shape = [], values = new Float32Array() } = arrays[output] ?? {}
        const width = shape[1] ?? 1
        const [start, count] =
          output === 'gate'
            ? [r, 1]
            : output === 'score' || output === 'counts'
              ? [before + r, row.length + 1]
              : [before + 2 * r, row.length + 2]
        return values.slice(start * width, (start + count) * width)
      }
      return outputs.map((output) => ({ output, values: part(output) }))
    })
  }

  const refined = async (rows: readonly Int32Array[]) => {
    const round = await refineOnce(session, rows, maxLength)
    const input = packRows(rows)
    return rows.map((_, r) => {
      const [start, end] = rowRange(round, r)
      const [from, until] = rowRange(input, r)
      return {
        decided: {
          tokens: [...round.tokens.subarray(start, end)],
          source: [...round.source.subarray(start, end)],
          edited: round.edited[r],
          truncated: round.truncated[r],
        },
        confidence: round.confidence.slice(start, end),
        bits: [...round.keep.slice(from, until), round.gate[r] ?? Number.NaN],
      }
    })
  }

  const expectClose = (actual: ArrayLike<number> | undefined, expected: ArrayLike<number>, what: string) => {
    const error = worstError(actual ?? [], expected)
    worst = Math.max(worst, error)
    expect(error, what).toBeLessThanOrEqual(tolerance)
  }

  it.each([7, 32])('inner values: alone as among %i', async (count) => {
    const rows = batchOf(1, count)
    const together = await inspected(rows)
    for (const [r, row] of rows.entries()) {
      const [alone = []] = await inspected([row])
      for (const [index, { output, values }] of alone.entries()) {
        expectClose(together[r]?.[index]?.values, values, `row ${r}: ${output}`)
      }
    }
  })

  it.each([7, 32])('a refinement round: alone as among %i', async (count) => {
    const rows = batchOf(2, count)
    const together = await refined(rows)
    for (const [r, row] of rows.entries()) {
      const [alone] = await refined([row])
      expect(together[r]?.decided, `row ${r}`).toEqual(alone?.decided)
      expectClose(together[r]?.confidence, alone?.confidence ?? [], `row ${r}: confidence`)
      expectClose(together[r]?.bits, alone?.bits ?? [], `row ${r}: keep and gate`)
    }
  })

  it.each([7, 32])('equal bits beside neighbours of other content, %i rows', async (count) => {
    for (const place of [0, 3, 5, 6]) {
      const row = rowOf(3, place, lengthOf(place))
      const [first, second] = [batchOf(4, count).with(place, row), batchOf(5, count).with(place, row)]
      const [a, b] = [await inspected(first), await inspected(second)]
      expect(a[place]).toEqual(b[place])
      const [c, d] = [await refined(first), await refined(second)]
      expect(c[place]?.decided).toEqual(d[place]?.decided)
      expect(c[place]?.bits).toEqual(d[place]?.bits)
      expectClose(c[place]?.confidence, d[place]?.confidence ?? [], 'confidence')
    }
  })

  it('the same call twice gives the same bits', async () => {
    const rows = batchOf(6, 32)
    expect(await inspected(rows)).toEqual(await inspected(rows))
    expect(await refined(rows)).toEqual(await refined(rows))
  })
})

describe('calls that are under way together', () => {
  it('give each text what it gives alone', async () => {
    const tokenizer = byteTokenizer()
    await using model = await MergeModel.create({ layers: 2, width: 32, heads: 2, maxLength: 64, tokenizer, seed: 5 })
    const drafts = Array.from({ length: 24 }, (_, n) => 'a draft of some words, '.repeat(3).slice(0, 2 * n))
    const alone: EditResult[] = []
    for (const draft of drafts) alone.push(await model.edit(draft, { maxRounds: 3 }))
    const together = await Promise.all(drafts.map((draft) => model.edit(draft, { maxRounds: 3 })))
    expect(together.map(({ text, rounds, stopReason }) => ({ text, rounds, stopReason }))).toEqual(
      alone.map(({ text, rounds, stopReason }) => ({ text, rounds, stopReason })),
    )
    // They did something, and not all the same.
    expect(new Set(alone.map(({ text }) => text)).size).toBeGreaterThan(12)
  })
})
