// E.1 to E.5 and E.8: hostile values at the native border give a result or a typed error, never a dead process.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Ending, runChild } from './nativeChild.js'

const reportShape = z.object({
  calls: z.number(),
  refused: z.number(),
  answered: z.array(z.string()),
  untyped: z.array(z.string()),
  messages: z.array(z.string()),
  isSame: z.boolean(),
  isSameView: z.boolean(),
  isSameAfterPollution: z.boolean(),
  isClean: z.boolean(),
  engine: z.string(),
  stats: z.object({ sessions: z.number(), bytes: z.number(), queued: z.number() }),
})

describe('E the native border', () => {
  const folder = mkdtempSync(join(tmpdir(), 'merge-lm-boundary-'))
  let ending: Ending
  let report: z.infer<typeof reportShape>

  beforeAll(async () => {
    ending = await runChild('hostileCalls.mjs', [], { cwd: folder, timeoutMs: 240_000 })
    expect(ending, ending.errors).toMatchObject({ code: 0, signal: null })
    report = reportShape.parse(JSON.parse(ending.output))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('E.1 at least 2000 calls end in a result or a typed error', () => {
    expect(report.calls).toBeGreaterThanOrEqual(2000)
    expect(report.untyped).toEqual([])
    expect(ending.errors).toBe('')
  })

  it('E.1 only values that are right are answered', () => {
    // Each line is a call whose hostile value happens to be a right one.
    const right = [
      /^trainBpe\(4: \[\]\)$/,
      /^trainBpe\(3: (0|-0)\)$/,
      /^inspect\(1: \[\]\)$/,
      /^runOp\(1: (\{\}|null prototype|proxy of an array)\)$/,
      /^save\(0: (x|<mask>)\)$/,
      /^load\(0: (x|<mask>)\)$/,
    ]
    const isDouble = report.engine === 'none'
    const wrong = report.answered.filter((name) => !right.some((pattern) => pattern.test(name)))
    // The double of the engine judges neither records nor ids.
    const door = wrong.filter(
      (name) => !/\(0: (\{\}|null prototype|proxy of an array)\)$|^(id|too long)|^save|^load/.test(name),
    )
    expect(isDouble ? door : wrong).toEqual([])
  })

  it('E.1 the same valid call gives the same bits afterwards', () => {
    expect(report.isSame).toBe(true)
    expect(report.stats).toEqual({ sessions: 0, bytes: 0, queued: 0 })
  })

  it('E.3 a view into a larger buffer is read where it lies', () => {
    expect(report.isSameView).toBe(true)
  })

  it('E.4 a polluted prototype changes nothing', () => {
    expect(report.isSameAfterPollution).toBe(true)
    expect(report.isClean).toBe(true)
  })

  it('E.5 a getter that disposes the session gives ERR_DISPOSED', () => {
    const afterwards = report.messages.filter((message) => /^(disposing getter|after dispose): /.test(message))
    expect(afterwards).toHaveLength(2)
    for (const message of afterwards) expect(message).toContain('disposed')
  })

  it('E.8 no message holds a backtrace, an address or a build path', () => {
    const leaky = report.messages.filter((message) =>
      /Exception raised from|frame #|0x[0-9a-f]{6,}|\.(cc|cpp|h):\d+|CapturedTraceback/.test(message),
    )
    expect(leaky).toEqual([])
    expect(report.messages.filter((message) => message.length > 1000)).toEqual([])
  })
})
