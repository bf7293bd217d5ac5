// F.4, F.6, F.9: whoever shares the compute thread gets the bits that it would get alone, and nothing is left behind.
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { runChild } from './nativeChild.js'

const reportShape = z.object({
  isSameAtOnce: z.boolean(),
  isSameInWorkers: z.boolean(),
  threadsMore: z.number(),
  stats: z.object({ sessions: z.number(), bytes: z.number(), queued: z.number() }),
})

describe('F sharing the compute thread', () => {
  let report: z.infer<typeof reportShape>

  beforeAll(async () => {
    const ending = await runChild('sharing.mjs', [], { timeoutMs: 120_000 })
    expect(ending, ending.errors).toMatchObject({ code: 0, signal: null, errors: '' })
    report = reportShape.parse(JSON.parse(ending.output))
  })

  it('F.4 100 calls at once give the bits of 100 calls in turn, beside another model that learns', () => {
    expect(report.isSameAtOnce).toBe(true)
  })

  it('F.4 so they do in four workers at once', () => {
    expect(report.isSameInWorkers).toBe(true)
  })

  it('F.6 no thread is left after twelve workers', () => {
    expect(report.threadsMore).toBeLessThanOrEqual(0)
  })

  it('F.9 50 models later nothing is left', () => {
    expect(report.stats).toEqual({ sessions: 0, bytes: 0, queued: 0 })
  })
})
