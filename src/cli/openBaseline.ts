// openBaseline: a run of one of the baselines, from its configuration to a model, its data and its trainer.

import { GptModel } from '../baselines/gpt.js'
import type { GptFigures, GptRecipe, GptRecipeOptions } from '../baselines/gptTask.js'
import { LevtModel } from '../baselines/levt.js'
import type { LevtFigures, LevtRecipe, LevtRecipeOptions } from '../baselines/levtTask.js'
import { MaskGitModel } from '../baselines/maskgit.js'
import type { MaskGitFigures, MaskGitRecipe, MaskGitRecipeOptions } from '../baselines/maskgitTask.js'
import type { CommonRecipe } from '../config.js'
import type { EditingModel } from '../editor.js'
import { corruptionFrom } from '../text/corruptionSpec.js'
import { openDataset, split } from '../text/dataset.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { unknownMetric } from '../training/best.js'
import { evaluateEdits } from '../training/evaluate.js'
import type { ModelKind } from '../training/resume.js'
import type { GptRunConfig, LevtRunConfig, MaskGitRunConfig } from '../training/runConfig.js'
import type { Figures, TrainableModel } from '../training/task.js'
import { Trainer } from '../training/trainer.js'
import { makeTokenizer, type OpenRun, type RunStart, runFigures } from './openRun.js'
import { dataPrint } from './runRecord.js'

/** The file of a baseline's run. */
export type BaselineRunConfig = GptRunConfig | LevtRunConfig | MaskGitRunConfig

/** A run of a baseline that is ready to start. M: the model, T: its trainer. */
export interface OpenBaselineRun<M, T> extends Omit<OpenRun, 'model' | 'trainer'> {
  readonly model: M
  readonly trainer: T
  /** Edits the examples that were held out. */
  readonly evaluate: () => Promise<Record<string, number>>
}

export type OpenGptRun = OpenBaselineRun<GptModel, Trainer<GptModel, GptRecipeOptions, GptRecipe, GptFigures>>
export type OpenLevtRun = OpenBaselineRun<LevtModel, Trainer<LevtModel, LevtRecipeOptions, LevtRecipe, LevtFigures>>
export type OpenMaskGitRun = OpenBaselineRun<
  MaskGitModel,
  Trainer<MaskGitModel, MaskGitRecipeOptions, MaskGitRecipe, MaskGitFigures>
>
export type AnyBaselineRun = OpenGptRun | OpenLevtRun | OpenMaskGitRun

/** Reads the data; makes the tokenizer and the model, or loads them from the checkpoint. */
export function openBaselineRun(config: BaselineRunConfig, start: RunStart): Promise<AnyBaselineRun> {
  switch (config.family) {
    case 'gpt': {
      const { model, recipe } = config
      return opened(config, start, { kind: GptModel, recipe, create: (base) => GptModel.create({ ...model, ...base }) })
    }
    case 'levt': {
      const { model, recipe } = config
      const create = (base: Base) => LevtModel.create({ ...model, ...base })
      return opened(config, start, { kind: LevtModel, recipe, create })
    }
    case 'maskgit': {
      const { model, recipe } = config
      const create = (base: Base) => MaskGitModel.create({ ...model, ...base })
      return opened(config, start, { kind: MaskGitModel, recipe, create })
    }
    default:
      return config satisfies never
  }
}

/** What every family's `create` takes beside its shape. */
interface Base {
  readonly tokenizer: Tokenizer
  readonly seed: number
  readonly threads?: number
}

interface Family<M, O> {
  readonly kind: ModelKind<M>
  readonly recipe: O
  readonly create: (base: Base) => Promise<M>
}

async function opened<M extends EditingModel, O, R extends CommonRecipe, F extends Figures>(
  config: BaselineRunConfig,
  { from, threads, ...options }: RunStart,
  family: Family<M & TrainableModel<O, R, F>, O>,
): Promise<OpenBaselineRun<M & TrainableModel<O, R, F>, Trainer<M & TrainableModel<O, R, F>, O, R, F>>> {
  const metric = config.recipe.best?.metric
  if (metric !== undefined && !runFigures.some((name) => name === metric)) throw unknownMetric(metric, runFigures)
  const examples = await openDataset(config.data)
  const { train, heldOut } = split(examples, { heldOut: config.heldOut, seed: config.recipe.seed })
  const corruption = config.corruption === 'untouched' ? undefined : await corruptionFrom(config.corruption)
  const team = threads === undefined ? {} : { threads }
  const trainer =
    from === undefined
      ? new Trainer<M & TrainableModel<O, R, F>, O, R, F>(
          await family.create({ tokenizer: await makeTokenizer(config, train), seed: config.recipe.seed, ...team }),
          family.recipe,
        )
      : await Trainer.resume<M & TrainableModel<O, R, F>, O, R, F>(
          from,
          { ...options, ...team, recipe: changeable(config) },
          family.kind,
        )
  const { model } = trainer
  const drafting = corruption === undefined ? {} : { corruption }
  const evaluate = async (): Promise<Record<string, number>> => {
    const { exact, exactNothing, cleanDamaged, meanRounds } = await evaluateEdits<object>(model, heldOut, drafting)
    return { exact, exactNothing, cleanDamaged, meanRounds }
  }
  return { model, trainer, train, heldOut, print: dataPrint(examples), evaluate, ...drafting }
}

// What of a recipe may change when a run goes on.
function changeable({ recipe: { steps, minutes, saveEvery, keep, evaluateEvery, best } }: BaselineRunConfig) {
  return { steps, minutes, saveEvery, keep, evaluateEvery, best }
}
