// learners: every kind of model the training suite trains, each as a few lines of a table.

import { GptModel } from '../baselines/gpt.js'
import { LevtModel } from '../baselines/levt.js'
import { MaskGitModel } from '../baselines/maskgit.js'
import type { CommonRecipe } from '../config.js'
import { MergeModel as Merge, type MergeModel, sessionOf } from '../model.js'
import { parseConfig } from '../parseConfig.js'
import { RemediModel } from '../remedi/model.js'
import { idTokenizer } from '../text/idTokenizer.js'
import { builtInSpecial, type Tokenizer } from '../text/tokenizer.js'
import type { Figures, TokenExample, TrainableModel } from '../training/task.js'
import type { Dtype } from './benchReport.js'
import type { BenchSize } from './benchSize.js'

/** Where and how a model learns. */
export interface LearnerOptions {
  readonly size: BenchSize
  readonly dtype: Dtype
  readonly threads: number
}

/** A model that learns batch by batch. */
export interface OpenLearner {
  /** Takes a step and gives its loss. */
  step(batch: readonly TokenExample[]): Promise<number>
  memory(): Promise<Readonly<Record<string, number>>>
  dispose(): Promise<void>
  /** The record of a step, for a peer that takes the same. */
  readonly record: Readonly<Record<string, unknown>>
  save(folder: string): Promise<void>
}

/** A kind of model with the recipe it learns by. */
export interface Learner {
  readonly name: string
  readonly task: string
  open(options: LearnerOptions): Promise<OpenLearner>
}

const learningRate = 1e-3
// The quickstart's: the oracle's skeleton alone, one round, every draft the example's own.
const fromDraft = { clip: 1, drafts: { task: 1, finished: 0, fragment: 0, subsequence: 0, noised: 0, empty: 0 } }
const oneRound = {
  ...fromDraft,
  learningRate,
  rounds: 1,
  ownDeletion: 0,
  ownFill: 0,
  subsequence: 0,
  gateNoise: 0,
  losses: { recon: 1, compression: 2, pointer: 2, gate: 0.1, length: 0.1 },
}

/** The one whose step the peer takes, too. */
export const twinName = 'MERGE, two encodings'

/** All of them. */
export const learners: readonly Learner[] = [
  {
    name: twinName,
    task: 'one round of five losses',
    open: async (options) => learning(await openMerge(options, 'two'), oneRound),
  },
  {
    name: 'MERGE, one encoding',
    task: 'one round of five losses',
    open: async (options) => learning(await openMerge(options, 'one'), oneRound),
  },
  {
    name: 'LevT',
    task: 'the draft, its deletions, placeholders and tokens',
    open: async (options) => learning(await LevtModel.create(plainOf(options)), { ...fromDraft, learningRate }),
  },
  {
    name: 'MaskGIT',
    task: 'masked tokens and the length of the target behind the draft',
    open: async (options) => learning(await MaskGitModel.create(plainOf(options)), { learningRate }),
  },
  {
    name: 'RemeDi',
    task: 'Remask-SFT, the target behind the draft',
    open: async (options) => {
      const model = await RemediModel.create({ ...streamOf(options), blockLength: 32 })
      return learning(model, { task: 'sft', learningRate })
    },
  },
  {
    name: 'GPT',
    task: 'next token, the target behind the draft',
    open: async (options) => learning(await GptModel.create(streamOf(options)), { learningRate }),
  },
]

function openMerge({ size, dtype, threads }: LearnerOptions, encodings: 'one' | 'two'): Promise<MergeModel> {
  const { layers, width, heads, feedForward, length } = size
  const shape = { layers, width, heads, feedForward, ...mergeShape(size), maxLength: length }
  return Merge.create({ ...shape, encodings, dtype, threads, tokenizer: tokenizerOf(size) })
}

/** What MERGE alone has in training: no blocks of their own for deleter and inserter, as in the quickstart. */
export const mergeShape = (size: BenchSize) => ({ ...size.merge, deleter: 'linear', inserter: 'linear' }) as const

const plainOf = ({ size, dtype, threads }: LearnerOptions) => {
  const { layers, width, heads, feedForward, length } = size
  return { layers, width, heads, feedForward, maxLength: length, dtype, threads, tokenizer: tokenizerOf(size) }
}

const streamOf = ({ size, dtype, threads }: LearnerOptions) => {
  const { layers, width, heads, feedForward, length } = size
  const tokenizer = tokenizerOf(size)
  return { layers, width, heads, feedForward, maxLength: 2 * length + 64, dtype, threads, tokenizer }
}

const tokenizerOf = ({ vocabulary }: BenchSize): Tokenizer =>
  idTokenizer({ vocabularySize: vocabulary, special: builtInSpecial })

function learning<O, R extends CommonRecipe, F extends Figures>(
  model: TrainableModel<O, R, F> & Pick<MergeModel, 'memory' | 'save'>,
  options: O,
): OpenLearner {
  const task = model.task(parseConfig(model.recipeSchema, options, 'recipe'))
  let steps = 0
  return {
    memory: () => model.memory(),
    save: (folder) => model.save(folder),
    record: task.decide({ step: 0, progress: 0 }),
    async step(batch) {
      const session = sessionOf(model)
      const record = task.decide({ step: steps, progress: 0 })
      const rows = task.rows(batch, batch, steps++)
      const examples = batch.map(({ example }) => example)
      const report = await (task.step?.(session, record, { ...rows, examples }) ??
        session.trainStep(record, rows.drafts, rows.targets, rows.conditions))
      return report.total ?? Number.NaN
    },
    async dispose() {
      await task.end?.()
      await model.dispose()
    },
  }
}
