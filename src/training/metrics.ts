// Metrics: metrics.jsonl, one line a step: read again, and cut back to the step from which a run goes on.

import { createReadStream } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { errnoOf } from '../savedFolder.js'

/** Name of the file in a run's folder. */
export const metricsName = 'metrics.jsonl'

const stepSchema = z.looseObject({ step: z.int() })
// A number that was not finite is null in JSON.
const numbers = z.record(z.string(), z.number().nullable())
const sampleSchema = z.object({
  draft: z.string(),
  result: z.string(),
  target: z.string().optional(),
  lines: z.array(z.array(z.object({ kind: z.string(), text: z.string() }))).optional(),
})
const lineSchema = z.looseObject({
  step: z.int().min(1),
  total: z.number(),
  terms: numbers,
  evaluation: numbers.optional(),
  samples: z.array(sampleSchema).optional(),
})
const newline = 0x0a

/** A line of metrics.jsonl: what a `StepReport` says, of this version or another. */
export type MetricsLine = Readonly<z.output<typeof lineSchema>>

/** The lines of a file, up to the first that cannot be read: a killed process leaves its last one unfinished. */
export async function* readMetrics(path: string): AsyncGenerator<MetricsLine, void, undefined> {
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    const line = lineSchema.safeParse(parsed(text))
    if (!line.success) return
    yield line.data
  }
}

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
  const found = stepSchema.safeParse(parsed(line))
  return found.success ? found.data.step : undefined
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
