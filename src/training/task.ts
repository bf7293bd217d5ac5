// Task: what a kind of model learns: how examples become rows, what a step decides, what its report says. The loop, the
// stream of batches, checkpoints and the run's folder are the same for all.

import type { z } from 'zod'
import type { CommonRecipe, ModelConfig } from '../config.js'
import type { NativeRecord, NativeRows, NativeSession } from '../native.js'
import type { sessionKey } from '../openModel.js'
import type { Example } from '../text/example.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { RunPosition } from './schedule.js'

/** What a model must answer to be trained. O: options of its recipe, R: the recipe, F: what it adds to a report. */
export interface TrainableModel<O = unknown, R extends CommonRecipe = CommonRecipe, F extends Figures = Figures> {
  /** The word in config.json. */
  readonly family: string
  readonly config: Pick<ModelConfig, 'maxLength' | 'device' | 'dtype' | 'matmulPrecision'>
  readonly tokenizer: Tokenizer
  /** The schema of its recipes. */
  readonly recipeSchema: z.ZodType<R, O>
  /** Throws `ERR_DISPOSED` once the model was disposed. */
  readonly [sessionKey]: NativeSession
  /** What the recipe says it learns. */
  task(recipe: R): Task<F>
  /** Writes config.json, tokenizer.json and model.safetensors into a folder that is being written. */
  writeFiles(folder: string): Promise<void>
  dispose(): Promise<void>
}

/** An example as tokens; `source` where it has a draft, or a prompt, of its own. */
export interface TokenExample {
  readonly target: Int32Array
  readonly source?: Int32Array | undefined
  /** What stands before both, where the example has it. */
  readonly condition?: Int32Array | undefined
  readonly example: Example
}

/** Rows of one step, pairwise. */
export interface TaskRows {
  readonly drafts: NativeRows
  readonly targets: NativeRows
  /** Read-only rows before them, one for each pair; absent: none. */
  readonly conditions?: NativeRows
}

/** The rows of one step and the examples they were made from. */
export interface TaskBatch extends TaskRows {
  readonly examples: readonly Example[]
}

/** What the report of every task adds to that of the loop. */
export interface Figures {
  /** Each term of the loss, unweighted. */
  readonly terms: object
}

/** Reads a number of the engine's report; one that is missing or not finite ends the run. */
export type ReadNumber = (name: string) => number

/** What one kind of training does. Every method is a pure function of its arguments and of the recipe. */
export interface Task<F extends Figures = Figures> {
  /** Whether an example's condition is read. Absent: examples that have one are refused. */
  readonly readsConditions?: boolean
  /** Tokens of the row, or rows, that an example needs; at most the model's `maxLength`. */
  lengthOf(example: TokenExample): number
  /** The rows of a step, as a function of the step; `pool` holds all examples that were read ahead. */
  rows(batch: readonly TokenExample[], pool: readonly TokenExample[], step: number): TaskRows
  /** The record of a step; `learningRate` is part of it. */
  decide(at: RunPosition): NativeRecord & { readonly learningRate: number }
  /** Takes the step; resolves to the numbers of its report. Absent: one call of `trainStep`. */
  step?(session: NativeSession, record: NativeRecord, batch: TaskBatch): Promise<Readonly<Record<string, number>>>
  /** After a run, however it ended: frees what the steps opened. */
  end?(): Promise<void>
  /** What this task adds to the report of a step. */
  figures(number: ReadNumber): F
  /** What in the recipe is probably not meant, a sentence each. */
  readonly warnings?: readonly string[]
}
