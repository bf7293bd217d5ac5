// Metrics: metrics.jsonl, one line a step, cut back to the step from which a run goes on.

import { createReadStream } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { z } from 'zod'
import { errnoOf } from '../savedFolder.js'

/** Name of the file in a run's folder. */
export const metricsName = 'metrics.jsonl'

const lineSchema = z.looseObject({ step: z.int() })
const newline = 0x0a

/** Removes the lines after a step, and a last line that a killed process left unfinished. */
export async function cutMetrics(path: string, step: number): Promise<void> {
  const bytes = await bytesUntil(path, step)
  if (bytes !== undefined) await truncate(path, bytes)
}

// Length of the lines up to a step; undefined where there is no file.
async function bytesUntil(path: string, step: number): Promise<number | undefined> {
  let kept = 0
  let rest = Buffer.alloc(0)
  try {
    for await (const chunk of createReadStream(path)) {
      rest = Buffer.concat([rest, chunk])
      let start = 0
      for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline, start)) {
        const line = stepOf(rest.toString('utf8', start, end))
        if (line === undefined || line > step) return kept
        kept += end + 1 - start
        start = end + 1
      }
      rest = rest.subarray(start)
    }
    return kept
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function stepOf(line: string): number | undefined {
  try {
    return lineSchema.parse(JSON.parse(line)).step
  } catch {
    return undefined
  }
}
