// F.5, F.11, F.3: the event loop stays free while the engine works, and dispose stops the work.
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { runChild } from './nativeChild.js'

const reportShape = z.object({
  ticks: z.number(),
  p99Ms: z.number(),
  slowestReadMs: z.number(),
  isStillRunning: z.boolean(),
  codes: z.array(z.string()),
  stopMs: z.number(),
  later: z.object({ code: z.string(), stack: z.string() }),
  stats: z.object({ sessions: z.number(), bytes: z.number(), queued: z.number() }),
})

describe('F the event loop beside a running step', () => {
  let report: z.infer<typeof reportShape>

  beforeAll(async () => {
    const ending = await runChild('eventLoop.mjs', [])
    expect(ending, ending.errors).toMatchObject({ code: 0, signal: null, errors: '' })
    report = reportShape.parse(JSON.parse(ending.output))
  })

  // Limits are for a shared machine with two processors; on libuv's pool the same read waits for seconds.
  it('F.5 timers tick and files are read while a step runs', () => {
    expect(report.isStillRunning).toBe(true)
    expect(report.ticks).toBeGreaterThan(75)
    expect(report.p99Ms).toBeLessThan(50)
    expect(report.slowestReadMs).toBeLessThan(150)
  })

  it('F.11 dispose stops the running step and everything that waits behind it', () => {
    expect(report.codes).toEqual(['ERR_ABORTED', 'ERR_ABORTED'])
    expect(report.stopMs).toBeLessThan(500)
  })

  it('F.3 a later call is refused with the stack of its caller, and nothing is left', () => {
    expect(report.later.code).toBe('ERR_DISPOSED')
    expect(report.later.stack).toContain('eventLoop.mjs')
    expect(report.stats).toEqual({ sessions: 0, bytes: 0, queued: 0 })
  })
})
