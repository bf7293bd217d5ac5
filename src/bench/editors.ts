// editors: every kind of model the quality suite trains and asks to edit, each as a few lines of a table.

import { GptModel } from '../baselines/gpt.js'
import { LevtModel } from '../baselines/levt.js'
import { MaskGitModel } from '../baselines/maskgit.js'
import type { CommonRecipe } from '../config.js'
import type { EditingModel, Editor } from '../editor.js'
import { MergeError } from '../errors.js'
import { MergeModel, sessionOf } from '../model.js'
import { RemediModel } from '../remedi/model.js'
import type { Corruption } from '../text/corruption.js'
import type { Example } from '../text/example.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { refinedRows } from '../training/refinedRows.js'
import type { RunConfig } from '../training/runConfig.js'
import type { Figures, TrainableModel } from '../training/task.js'
import { Trainer } from '../training/trainer.js'
import type { BenchSettings } from './suite.js'

/** What every family is trained with. */
export interface EditorOptions {
  readonly config: RunConfig
  readonly tokenizer: Tokenizer
  readonly train: readonly Example[]
  readonly corruption: Corruption
  readonly settings: BenchSettings
}

/** An edited text; `rounds` and `passes` where a family counts them. */
export interface Edited {
  readonly text: string
  readonly rounds?: number
  readonly passes?: number
}

/** A trained model. */
export interface TrainedEditor {
  readonly training: { readonly steps: number; readonly seconds: number; readonly parameters: number }
  edit(sources: readonly string[]): Promise<Edited[]>
  dispose(): Promise<void>
}

/** A kind of model. */
export interface EditorKind {
  readonly name: string
  readonly task: string
  train(options: EditorOptions): Promise<TrainedEditor>
}

/** Rows of a batch when texts are edited. */
const batchRows = 32

/** All of them. */
export const editors: readonly EditorKind[] = [
  { name: 'MERGE, two encodings', task: 'edit, mode auto', train: (options) => trainMerge(options, 'two') },
  { name: 'MERGE, one encoding', task: 'edit, mode auto', train: (options) => trainMerge(options, 'one') },
  { name: 'LevT', task: 'edit', train: trainLevt },
  { name: 'MaskGIT', task: 'write the target in 8 rounds', train: trainMaskgit },
  { name: 'RemeDi', task: 'write behind the draft, 8 steps a block', train: trainRemedi },
  { name: 'GPT', task: 'write behind the draft, greedily', train: trainGpt },
]

type Budget = BenchSettings['budget']

async function trainMerge(options: EditorOptions, encodings: 'one' | 'two'): Promise<TrainedEditor> {
  const { config, tokenizer, settings } = options
  const { threads, budget } = settings
  const { saveEvery: _, best: __, steps: ___, minutes: ____, ...recipe } = config.recipe
  if ('from' in config.model) throw new MergeError('ERR_CONFIG', 'model.from: expected none, received a folder')
  const model = await MergeModel.create({ ...config.model, encodings, tokenizer, threads, seed: recipe.seed })
  const training = await trained(model, { ...recipe, ...budget, saveEvery: 0 }, options)
  return editing(model, training, settings)
}

async function trainLevt(options: EditorOptions): Promise<TrainedEditor> {
  const { config, settings } = options
  const mix = 'localMix' in config.model ? { localMix: config.model.localMix } : {}
  const model = await LevtModel.create({ ...plainOf(options), ...mix })
  const drafts = { drafts: config.recipe.drafts }
  return editing(model, await trained(model, { ...commonOf(config), ...drafts, ...settings.budget }, options), settings)
}

async function trainMaskgit(options: EditorOptions): Promise<TrainedEditor> {
  const model = await MaskGitModel.create(plainOf(options))
  const recipe = { ...commonOf(options.config), ...options.settings.budget }
  return editing(model, await trained(model, recipe, options), options.settings)
}

async function trainRemedi(options: EditorOptions): Promise<TrainedEditor> {
  const { config, settings } = options
  const model = await RemediModel.create({ ...streamOf(options), blockLength: 32 })
  const common = commonOf(config)
  // The stages one after the other, within the budget of one.
  const half = halfOf(settings.budget)
  const first = await trained(model, { ...common, ...half, task: 'base' }, options, behind)
  const second = await trained(model, { ...common, ...half, task: 'sft' }, options, behind)
  const longest = config.model.maxLength ?? 256
  return {
    training: {
      steps: first.steps + second.steps,
      seconds: first.seconds + second.seconds,
      parameters: first.parameters,
    },
    dispose: () => model.dispose(),
    async edit(sources) {
      const prompts = sources.map((source) => behind(source))
      const generate = { steps: 8, maxNewTokens: longest + 32, batchRows, signal: settings.signal }
      const answers = await model.complete(prompts, generate)
      return answers.map(({ answer, evaluations }) => ({ text: answer, passes: evaluations }))
    },
  }
}

async function trainGpt(options: EditorOptions): Promise<TrainedEditor> {
  const { config, settings } = options
  const model = await GptModel.create(streamOf(options))
  const training = await trained(model, { ...commonOf(config), ...settings.budget }, options)
  return editing(model, training, settings)
}

// A prompt of RemeDi ends where its answer begins; the line's end says where.
const behind = (source: string): string => `${source}\n`

// The shape of MERGE's encoder.
function plainOf({ config, tokenizer, settings: { threads } }: EditorOptions) {
  if ('from' in config.model) throw new MergeError('ERR_CONFIG', 'model.from: expected none, received a folder')
  const { layers, width, heads, feedForward, maxLength, ropeBase } = config.model
  return { layers, width, heads, feedForward, maxLength, ropeBase, tokenizer, threads, seed: config.recipe.seed }
}

// The same with room for the draft and the text behind it.
function streamOf(options: EditorOptions) {
  const { maxLength, ...shape } = plainOf(options)
  return { ...shape, maxLength: 2 * maxLength + 64 }
}

function commonOf({ recipe: { seed, batchRows, batchTokens, clip, learningRate } }: RunConfig) {
  return { seed, batchRows, batchTokens, clip, learningRate, tooLong: 'drop' as const, saveEvery: 0 }
}

function halfOf(budget: Budget): Budget {
  return 'steps' in budget ? { steps: Math.ceil(budget.steps / 2) } : { minutes: budget.minutes / 2 }
}

// Trains by the recipe; `prompt` is what a draft becomes before it is learned behind.
async function trained<M, O, R extends CommonRecipe, F extends Figures>(
  model: M & TrainableModel<O, R, F>,
  recipe: NoInfer<O>,
  { train, corruption, settings: { signal } }: EditorOptions,
  prompt: (source: string) => string = (source) => source,
): Promise<TrainedEditor['training']> {
  const trainer = new Trainer(model, recipe)
  const drafts: Corruption = (target, random) => prompt(corruption(target, random))
  let seconds = 0
  for await (const report of trainer.run(train, { corruption: drafts, signal })) seconds = report.seconds
  const sizes = (await sessionOf(model).parameters()).map(({ shape }) => shape.reduce((all, size) => all * size, 1))
  return { steps: trainer.step, seconds, parameters: sizes.reduce((sum, size) => sum + size, 0) }
}

function editing(
  model: EditingModel<{ signal?: AbortSignal | undefined }> & Pick<MergeModel, 'dispose'>,
  training: TrainedEditor['training'],
  { signal }: BenchSettings,
): TrainedEditor {
  return { training, dispose: () => model.dispose(), edit: (sources) => editedBy(model.editor({ signal }), sources) }
}

// The texts after their rounds, by whatever edits.
async function editedBy(editor: Editor, sources: readonly string[]): Promise<Edited[]> {
  const edited: Edited[] = sources.map((text) => ({ text }))
  for await (const { index, rounds, last } of refinedRows(editor, sources, (source) => source)) {
    const passes = rounds.reduce((sum, { encoderPasses }) => sum + encoderPasses, 0)
    edited[index] = { text: last.text, rounds: rounds.length, passes }
  }
  return edited
}
