// F.1, F.2: however the process ends, it ends with the documented code, at once, and never by an abort of ours.
import { describe, expect, it } from 'vitest'
import { runChild } from './nativeChild.js'

const repeats = Number(process.env.MERGE_LM_REPEATS ?? 1)
/** From the moment the end begins; a running call ends at its next micro-batch. */
const exitLimitMs = 3000

const shapes: readonly (readonly [shape: string, code: number])[] = [
  ['return, idle', 0],
  ['return, not disposed', 0],
  ['return with a call in flight', 0],
  ['process.exit, idle', 3],
  ['process.exit in a callback', 3],
  ['process.exit with a call in flight', 3],
  ['process.exit while opening', 3],
  ['process.exit with a full queue', 3],
  ['uncaught throw', 1],
  ['unhandled rejection', 1],
  ['calls inside an exit listener', 3],
  ['worker ends, then main', 0],
  ['worker exits with a call in flight', 0],
  ['worker throws with a call in flight', 0],
  ['worker.terminate, idle', 0],
  ['worker.terminate, running', 0],
  ['worker.terminate, opening', 0],
  ['worker.terminate, failing', 0],
  ['process.exit beside a running worker', 3],
  ['twenty workers in sequence', 0],
  ['eight workers at once', 0],
  ['garbage collected while in use', 0],
]

describe('F.1 the end of a process', () => {
  it.each(shapes)('%s: code %i', async (shape, code) => {
    for (let i = 0; i < repeats; i++) {
      const ending = await runChild('exitShapes.mjs', [shape], { nodeArguments: ['--expose-gc'] })
      expect(ending, ending.errors).toMatchObject({ code, signal: null })
      expect(ending.output).toContain('ready')
      expect(ending.exitMs).toBeLessThan(exitLimitMs)
    }
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('%s without a handler ends by the signal', async (signal) => {
    const ending = await runChild('exitShapes.mjs', ['signal, no handler'], { signal })
    expect(ending).toMatchObject({ code: null, signal })
    expect(ending.exitMs).toBeLessThan(exitLimitMs)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s with a handler that exits: code %i', async (signal, code) => {
    const ending = await runChild('exitShapes.mjs', ['signal, handler exits'], { signal })
    expect(ending, ending.errors).toMatchObject({ code, signal: null })
    expect(ending.exitMs).toBeLessThan(exitLimitMs)
  })
})
