// MergeModel: a model with its tokenizer, on one device; edits, writes and fills in text, round by round.

import { z } from 'zod'
import {
  batchConfig,
  draftConfig,
  type InfillOptions,
  infillConfig,
  type ModelConfig,
  type ModelOptions,
  modelConfig,
  modelRecord,
  type PretrainedOptions,
  placementConfig,
  pretrainedConfig,
  type Recipe,
  type RecipeOptions,
  type RefineConfig,
  type RefineOptions,
  type RoundChoice,
  recipe,
  refineConfig,
  roundRecord,
} from './config.js'
import type { EditResult } from './editor.js'
import { isMergeError, MergeError } from './errors.js'
import { type HoledText, holedDraft, promptDraft } from './merge/draft.js'
import { type MergeFigures, mergeTask } from './merge/mergeTask.js'
import { contextKey, RoundModel } from './merge/roundModel.js'
import type { NativeRecord, NativeSession } from './native.js'
import { filled, parameterCountOf, sessionKey } from './openModel.js'
import { givenOf, parseConfig } from './parseConfig.js'
import { openPretrained } from './pretrained/pretrained.js'
import { checkpointError } from './savedFolder.js'
import { givenTokenizer, readSavedModel, writeSavedModel } from './savedModel.js'
import { openSession, type SessionStart } from './session.js'
import type { Tokenizer } from './text/tokenizer.js'
import type { Task, TrainableModel } from './training/task.js'

/** How to make a model. */
export type CreateOptions = ModelOptions & {
  readonly tokenizer: Tokenizer
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
  /** Threads of the compute thread's team, once per process. Default: as many as the process may use. */
  readonly threads?: number
}

/** How to make a model from published weights; what they decide is no option. */
export type FromPretrainedOptions = PretrainedOptions & Pick<CreateOptions, 'seed' | 'threads'>

/** Where to load a model. */
export type LoadOptions = z.input<typeof placementConfig> & { readonly threads?: number }

/** The open session of a model; only for this package's own loops. */
export function sessionOf(model: Pick<TrainableModel, typeof sessionKey>): NativeSession {
  return model[sessionKey]
}
/** A model over a session that is already open; only for tests of the loops. */
export let modelOver: (
  session: NativeSession,
  config: ModelConfig,
  tokenizer: Tokenizer,
  pretrained?: boolean,
) => Promise<MergeModel>

const editSchemas = { refine: refineConfig, draft: draftConfig, batch: batchConfig } as const

/**
 * A model. Every method runs off the event loop; a model that was disposed rejects with `ERR_DISPOSED`.
 *
 * @example
 * await using model = await MergeModel.load('runs/quickstart/model')
 * const { text, edits } = await model.edit('he go to school yesteday')
 */
export class MergeModel
  extends RoundModel<RefineConfig, RefineOptions>
  implements TrainableModel<RecipeOptions, Recipe, MergeFigures>
{
  readonly family = 'merge'
  /** The options of `edit`, `refine` and `refineBatch`. In mode `auto`, the default, the gate leaves alone what needs no edit. */
  readonly editSchemas = editSchemas
  readonly recipeSchema = recipe
  readonly config: ModelConfig
  readonly tokenizer: Tokenizer
  /** Number of trainable numbers. */
  readonly parameterCount: number
  /** Whether encoder and head started from trained weights (`fromPretrained`). */
  readonly pretrained: boolean

  // Tests of the loops make a model by `modelOver`.
  static {
    modelOver = async (session, config, tokenizer, pretrained = false) => {
      const parameterCount = await parameterCountOf(session)
      return new MergeModel(session, config, tokenizer, { parameterCount, pretrained })
    }
  }

  private constructor(
    session: NativeSession,
    config: ModelConfig,
    tokenizer: Tokenizer,
    { parameterCount, pretrained }: Pick<MergeModel, 'parameterCount' | 'pretrained'>,
  ) {
    super(session)
    this.config = config
    this.tokenizer = tokenizer
    this.parameterCount = parameterCount
    this.pretrained = pretrained
  }

  /** A new model with random weights. */
  static async create(options: CreateOptions): Promise<MergeModel> {
    const { tokenizer, seed = 0, threads, ...rest } = options
    const config = parseConfig(modelConfig, rest, '')
    return MergeModel.#open(config, givenTokenizer(tokenizer), { seed, threads })
  }

  /**
   * A new model whose encoder and head start from a folder's weights: one of Hugging Face (config.json, safetensors,
   * tokenizer.json; LLaMA, Mistral, Qwen2, BERT or ModernBERT), or one that `save` or a training run wrote. Deleter,
   * inserter, gate and carry start afresh. The tokenizer is the folder's; tokens it lacks for a role get new rows, the
   * mean of all others and a little noise. `ERR_CHECKPOINT` says what has no equal here, and which tensors do not fit.
   *
   * @example
   * await using model = await MergeModel.fromPretrained('models/modernbert-base', { maxLength: 128 })
   */
  static async fromPretrained(folder: string, options: FromPretrainedOptions = {}): Promise<MergeModel> {
    const { seed = 0, threads, ...rest } = options
    const free = parseConfig(pretrainedConfig, rest, '')
    const { shape, plan, tokenizer, longest } = await openPretrained(folder)
    // A draft before the row and its separator take as much again.
    const rows = free.condition === 'draft' ? 2 : 1
    const most = Math.floor((longest - 1) / rows) - 1
    const maxLength = free.maxLength ?? Math.min(defaultMaxLength, most)
    if (maxLength > most)
      throw new MergeError(
        'ERR_CONFIG',
        `maxLength: expected at most ${most}, as ${folder} knows no more positions, received ${maxLength}`,
      )
    const config = parseConfig(modelConfig, { ...free, ...shape, maxLength }, '')
    const model = await MergeModel.#open(config, tokenizer, { seed, threads }, true)
    try {
      const parameters = await model[sessionKey].parameters()
      const filled = new Set(plan.map(({ target }) => target))
      const empty = parameters.filter(({ name }) => /^(embedding|encoder|head)\./.test(name) && !filled.has(name))
      if (empty.length > 0)
        throw new MergeError('ERR_CHECKPOINT', `tensors: missing ${empty.map(({ name }) => name).join(', ')}`)
      await model[sessionKey].importWeights(plan)
      return model
    } catch (error) {
      await model.dispose()
      throw isMergeError(error, 'ERR_CHECKPOINT') ? checkpointError(folder, error.message, error) : error
    }
  }

  /** Loads a folder that `save` or a training run wrote; every file is verified first. */
  static async load(folder: string, options: LoadOptions = {}): Promise<MergeModel> {
    const { threads, ...rest } = options
    const placement = parseConfig(placementConfig, rest, '')
    const { saved, tokenizer, weights } = await readSavedModel(folder, savedConfig)
    const config = { ...saved.model, ...givenOf(placement) }
    const model = await MergeModel.#open(config, tokenizer, { seed: 0, threads }, saved.pretrained)
    return filled(model, (session) => session.load(weights, 'model'))
  }

  static async #open(config: ModelConfig, tokenizer: Tokenizer, start: SessionStart, pretrained = false) {
    const { pad, bos, eos, mask, sep } = tokenizer.special
    const vocabulary = { vocabulary: tokenizer.vocabularySize, pad, bos, eos, mask, sep }
    const session = await openSession(start, (seed) => modelRecord(config, vocabulary, seed))
    return modelOver(session, config, tokenizer, pretrained)
  }

  /** What a recipe lets it learn. */
  task(recipe: Recipe): Task<MergeFigures> {
    return mergeTask(recipe, { ...this.config, pretrained: this.pretrained, sep: this.tokenizer.special.sep })
  }

  /** Writes the model's files, without a manifest, into a folder that is being written. */
  override async writeFiles(folder: string): Promise<void> {
    const { family, pretrained, tokenizer } = this
    const config = { family, pretrained, model: this.config }
    await writeSavedModel(folder, { config, tokenizer }, (file) => this[sessionKey].save(file, 'model'))
  }

  /** Continues a prompt at its end; the prompt itself never changes. Default mode `gen`. */
  async generate(prompt: string, options: RefineOptions = {}): Promise<EditResult> {
    const settings = parseConfig(refineConfig, { mode: 'gen', ...options }, '')
    return this.editDraft(promptDraft(this[contextKey], prompt), settings)
  }

  /**
   * Fills the holes of a text; everything else never changes. Default mode `gen`.
   *
   * @example
   * await model.infill('It was a ___ night.')
   * await model.infill({ prefix: 'It was a ', suffix: ' night.' })
   */
  async infill(text: HoledText, options: InfillOptions = {}): Promise<EditResult> {
    const settings = parseConfig(infillConfig, { mode: 'gen', ...options }, '')
    return this.editDraft(holedDraft(this[contextKey], text, settings.hole), settings)
  }

  override get [contextKey]() {
    const { config } = this
    const recordOf = (settings: RefineConfig, choice: RoundChoice): NativeRecord =>
      roundRecord(settings, choice, config)
    return { session: this.roundSession, tokenizer: this.tokenizer, ...config, recordOf }
  }
}

const savedConfig = z.strictObject({
  format: z.literal(1),
  family: z.literal('merge'),
  pretrained: z.boolean().default(false),
  model: modelConfig,
})

const defaultMaxLength = 256
