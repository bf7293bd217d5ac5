// openRun: from a run's configuration to a model, its data and its trainer.

import { MergeError } from '../errors.js'
import { MergeModel } from '../model.js'
import { RemediModel } from '../remedi/model.js'
import type { RemediRecipe, RemediRecipeOptions } from '../remedi/recipe.js'
import { rewardFrom } from '../remedi/rewards.js'
import type { RemediFigures } from '../remedi/task.js'
import { trainBpeTokenizer } from '../text/bpe.js'
import { byteTokenizer } from '../text/byteTokenizer.js'
import { trainCharacterTokenizer } from '../text/characterTokenizer.js'
import type { Corruption } from '../text/corruption.js'
import { corruptionFrom } from '../text/corruptionSpec.js'
import { type Example, openDataset, split } from '../text/dataset.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { loadTokenizer } from '../text/tokenizerFile.js'
import { unknownMetric } from '../training/best.js'
import type { FoundCheckpoint } from '../training/checkpoint.js'
import { evaluateEdits } from '../training/evaluate.js'
import { evaluateRemedi } from '../training/evaluateRemedi.js'
import { type RemediRunConfig, type RunConfig, tokenizerConfig } from '../training/runConfig.js'
import { type ResumeOptions, Trainer } from '../training/trainer.js'
import { folderKind } from './anyModel.js'
import { type DataPrint, dataPrint } from './runRecord.js'

/** A run that is ready to start. */
export interface OpenRun {
  readonly model: MergeModel
  readonly trainer: Trainer
  readonly train: readonly Example[]
  readonly heldOut: readonly Example[]
  /** Of all examples, held out or not. */
  readonly print: DataPrint
  /** Absent where the configuration says `untouched`: then an example without a source has no draft of its own. */
  readonly corruption?: Corruption
}

/** A run of a RemeDi model that is ready to start. */
export interface OpenRemediRun extends Omit<OpenRun, 'model' | 'trainer'> {
  readonly model: RemediModel
  readonly trainer: RemediTrainer
  /** Answers the examples of the evaluation. */
  readonly evaluate: () => Promise<Record<string, number>>
}

type RemediTrainer = Trainer<RemediModel, RemediRecipeOptions, RemediRecipe, RemediFigures>

/** Where a run starts: at its first step, or after a checkpoint. */
export interface RunStart extends Pick<ResumeOptions, 'threads' | 'allowNondeterministic' | 'warn'> {
  readonly from?: FoundCheckpoint
}

/** Reads the data; makes the tokenizer and the model, or loads them from the checkpoint. */
export async function openRun(config: RunConfig, start: RunStart = {}): Promise<OpenRun> {
  const metric = config.recipe.best?.metric
  const figures: readonly string[] = config.recipe.task === 'pretrain' ? maskedFigures : runFigures
  if (metric !== undefined && !figures.includes(metric)) throw unknownMetric(metric, figures)
  const examples = await openDataset(config.data)
  const { train, heldOut } = split(examples, { heldOut: config.heldOut, seed: config.recipe.seed })
  const corruption = config.corruption === 'untouched' ? undefined : await corruptionFrom(config.corruption)
  const trainer = await (start.from === undefined
    ? newTrainer(config, train, start)
    : oldTrainer(config, start.from, start))
  const print = dataPrint(examples)
  return { model: trainer.model, trainer, train, heldOut, print, ...(corruption === undefined ? {} : { corruption }) }
}

/** The same of a RemeDi model: a new one, or one of an earlier stage. */
export async function openRemediRun(config: RemediRunConfig, start: RunStart = {}): Promise<OpenRemediRun> {
  const metric = config.recipe.best?.metric
  if (metric !== undefined && !remediFigures.some((name) => name === metric)) throw unknownMetric(metric, remediFigures)
  const examples = await openDataset(config.data)
  const { train, heldOut } = split(examples, { heldOut: config.heldOut, seed: config.recipe.seed })
  const corruption = config.corruption === 'untouched' ? undefined : await corruptionFrom(config.corruption)
  const { data, generate, reward: rewardSpec } = config.evaluation
  const asked = data === undefined ? heldOut : await openDataset(data)
  const reward = rewardSpec === undefined ? undefined : await rewardFrom(rewardSpec)
  const trainer = await (start.from === undefined
    ? newRemediTrainer(config, train, start)
    : oldRemediTrainer(config, start.from, start))
  const { model } = trainer
  const evaluate = async (): Promise<Record<string, number>> => {
    const found = await evaluateRemedi(model, asked, { ...generate, ...(reward === undefined ? {} : { reward }) })
    return {
      exact: found.exact.value ?? 0,
      ...(reward === undefined ? {} : { reward: found.reward.value ?? 0 }),
      errorAuroc: found.calibration.ups.raw.auroc.value ?? 0,
      meanEvaluations: found.meanEvaluations.value ?? 0,
      meanRemasks: found.remasksPerBlock.value ?? 0,
    }
  }
  const print = dataPrint(examples)
  return { model, trainer, train, heldOut: asked, print, evaluate, ...(corruption === undefined ? {} : { corruption }) }
}

/** The numbers of a RemeDi run's evaluation. */
export const remediFigures = ['exact', 'reward', 'errorAuroc', 'meanEvaluations', 'meanRemasks'] as const

async function newRemediTrainer(
  config: RemediRunConfig,
  train: readonly Example[],
  { threads }: RunStart,
): Promise<RemediTrainer> {
  const team = threads === undefined ? {} : { threads }
  if (config.from !== undefined) {
    const { from, lora, recipe } = config
    const options = { ...team, seed: recipe.seed, ...(lora === undefined ? {} : { lora }) }
    const isOurs = (await folderKind(from)) !== 'pretrained'
    const model = await (isOurs ? RemediModel.load(from, options) : RemediModel.fromPretrained(from, options))
    return new Trainer(model, recipe)
  }
  const tokenizer = await makeTokenizer({ tokenizer: config.tokenizer ?? tokenizerConfig.parse(undefined) }, train)
  const shape = { ...config.model, tokenizer, seed: config.recipe.seed, ...team }
  return new Trainer(await RemediModel.create(shape), config.recipe)
}

async function oldRemediTrainer(
  config: RemediRunConfig,
  from: FoundCheckpoint,
  { from: _, ...options }: RunStart,
): Promise<RemediTrainer> {
  const { steps, minutes, saveEvery, keep, evaluateEvery, best } = config.recipe
  return Trainer.resume(
    from,
    { ...options, recipe: { steps, minutes, saveEvery, keep, evaluateEvery, best } },
    RemediModel,
  )
}

async function newTrainer(config: RunConfig, train: readonly Example[], { threads }: RunStart): Promise<Trainer> {
  const { model, recipe } = config
  const start = { seed: recipe.seed, ...(threads === undefined ? {} : { threads }) }
  if ('from' in model) {
    const { from, ...options } = model
    return new Trainer(await MergeModel.fromPretrained(from, { ...options, ...start }), recipe)
  }
  const tokenizer = await makeTokenizer(config, train)
  return new Trainer(await MergeModel.create({ ...model, tokenizer, ...start }), recipe)
}

async function oldTrainer(
  config: RunConfig,
  from: FoundCheckpoint,
  { from: _, ...options }: RunStart,
): Promise<Trainer> {
  const { device, dtype, matmulPrecision } = config.model
  const { steps, minutes, saveEvery, keep, evaluateEvery, best } = config.recipe
  const recipe = { steps, minutes, saveEvery, keep, evaluateEvery, best }
  return Trainer.resume(from, { ...options, device, dtype, matmulPrecision, recipe })
}

/** The tokenizer that the configuration describes, made from the training part of the data where it needs any. */
export async function makeTokenizer(
  { tokenizer }: Pick<RunConfig, 'tokenizer'>,
  train: readonly Example[],
): Promise<Tokenizer> {
  switch (tokenizer.kind) {
    case 'character': {
      const { caseShift, minFrequency } = tokenizer
      return trainCharacterTokenizer(texts(train), { caseShift, minFrequency })
    }
    case 'byte':
      return byteTokenizer()
    case 'bpe': {
      const { vocabularySize, minFrequency } = tokenizer
      return trainBpeTokenizer(texts(train), { vocabularySize, minFrequency })
    }
    case 'file':
      return loadTokenizer(tokenizer.path)
    case 'pretrained':
      throw new MergeError('ERR_CONFIG', 'tokenizer.kind: expected one that can be made, received pretrained')
    default:
      return tokenizer satisfies never
  }
}

/** The numbers of a run's evaluation. */
export const runFigures = ['exact', 'exactNothing', 'cleanDamaged', 'meanRounds'] as const

/** The numbers of a pretraining's evaluation. */
const maskedFigures = ['maskedAccuracy', 'maskedLoss'] as const

/** The evaluation of a run on its held-out examples: shares of exact edits and of damaged clean texts. */
export async function evaluateRun(
  model: MergeModel,
  run: Pick<OpenRun, 'heldOut' | 'corruption'>,
): Promise<Record<(typeof runFigures)[number], number>> {
  const { exact, exactNothing, cleanDamaged, meanRounds } = await evaluateEdits(
    model,
    run.heldOut,
    run.corruption === undefined ? {} : { corruption: run.corruption },
  )
  return { exact, exactNothing, cleanDamaged, meanRounds }
}

function* texts(examples: readonly Example[]): Generator<string> {
  for (const { source, target } of examples) {
    if (source !== undefined) yield source
    yield target
  }
}
