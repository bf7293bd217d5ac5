// RunHistory: what a run's folder says of its way so far, for a page about it.

import { join } from 'node:path'
import { type MetricsLine, metricsName, readMetrics } from '../training/metrics.js'
import { numbersOf } from '../training/report.js'
import type { Series } from './curve.js'

/** The steps of a run. */
export interface RunHistory {
  /** By group and name: `loss/recon`, `train/gateRate`, `evaluation/exact`. */
  readonly series: ReadonlyMap<string, Series>
  /** The last step. */
  readonly last?: MetricsLine
  /** The last step with samples. */
  readonly sampled?: MetricsLine
  /** The last step that was the best so far. */
  readonly best?: MetricsLine
}

/** Reads the metrics of a run; a folder without any gives an empty history. */
export async function readHistory(folder: string): Promise<RunHistory> {
  const series = new Map<string, { steps: number[]; values: number[] }>()
  let last: MetricsLine | undefined
  let sampled: MetricsLine | undefined
  let best: MetricsLine | undefined
  for await (const line of readMetrics(join(folder, metricsName))) {
    last = line
    if (line.samples !== undefined) sampled = line
    if (line.best !== undefined) best = line
    for (const [name, value] of Object.entries(numbersOf(line))) {
      const found = series.get(name) ?? { steps: [], values: [] }
      found.steps.push(line.step)
      found.values.push(value)
      series.set(name, found)
    }
  }
  return {
    series,
    ...(last === undefined ? {} : { last }),
    ...(sampled === undefined ? {} : { sampled }),
    ...(best === undefined ? {} : { best }),
  }
}
