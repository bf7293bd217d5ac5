// Suite: what every suite is given, and what it gives back.

import type { RunConfig } from '../training/runConfig.js'
import type { BenchResult, Dtype, SizeName } from './benchReport.js'

/** How a benchmark runs. */
export interface BenchSettings {
  readonly sizes: readonly SizeName[]
  readonly batches: readonly number[]
  readonly dtypes: readonly Dtype[]
  readonly threads: number
  /** Timed calls of each case. */
  readonly samples: number
  /** No case begins a new turn after so many seconds. */
  readonly seconds: number
  /** Rounds of the inference suite. */
  readonly rounds: number
  /** Tokens of a draft; default: the size's own. */
  readonly tokens?: number
  readonly peers: boolean
  /** Training of each family in the quality suite. */
  readonly budget: { readonly steps: number } | { readonly minutes: number }
  /** Data, shape and recipe of the quality suite. */
  readonly readConfig: () => Promise<RunConfig>
  readonly signal: AbortSignal
  /** A line for whoever waits. */
  readonly say: (text: string) => void
  /** Versions that a peer tells. */
  readonly learnVersions: (versions: Readonly<Record<string, string>>) => void
}

/** Yields each result as soon as it is known, so that a run that is cut short has those. */
export type Suite = (settings: BenchSettings) => AsyncGenerator<BenchResult, void, undefined>
