// Family: what the inference suite must know of a kind of model.

import type { Dtype } from './benchReport.js'
import type { BenchSize } from './benchSize.js'
import type { Work } from './turns.js'

/** Where and how a family is run. */
export interface FamilyOptions {
  readonly size: BenchSize
  readonly dtype: Dtype
  readonly threads: number
  /** Rounds of those that refine in rounds; denoising steps of a block of RemeDi are four times as many. */
  readonly rounds: number
  /** Folder of a checkpoint whose weights GPT takes, so that a peer has the same. */
  readonly gptFolder?: string
}

/** A model with random weights that can be timed. */
export interface OpenFamily {
  /** Edits these drafts as one batch. */
  run(drafts: readonly Int32Array[]): Promise<Work>
  memory(): Promise<Readonly<Record<string, number>>>
  dispose(): Promise<void>
}

/** A kind of model. */
export interface Family {
  readonly name: string
  /** What a call does. */
  readonly task: (options: FamilyOptions) => string
  open(options: FamilyOptions): Promise<OpenFamily>
}
