// GptModel: an autoregressive model of LLaMA blocks with its tokenizer: what editing models are compared with.

import { z } from 'zod'
import { placementConfig } from '../config.js'
import type { EditingModel, Editor, EditResult } from '../editor.js'
import { MergeError } from '../errors.js'
import type { NativeSession } from '../native.js'
import { filled, OpenModel, parameterCountOf, sessionKey } from '../openModel.js'
import { givenOf, parseConfig } from '../parseConfig.js'
import { readStream } from '../pretrained/streamWeights.js'
import { editTexts } from '../rewriting.js'
import { givenTokenizer, readSavedModel, writeSavedModel } from '../savedModel.js'
import { openSession, type SessionStart } from '../session.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Task, TrainableModel } from '../training/task.js'
import { type GptConfig, type GptOptions, gptConfig, gptRecord } from './gptConfig.js'
import { type GptEditOptions, gptEditor } from './gptEdit.js'
import {
  type GptAnswer,
  type GptContext,
  type GptGenerateOptions,
  type GptPrompt,
  gptGenerateConfig,
  writeAnswers,
} from './gptGenerate.js'
import { openCheckpoint } from './gptPretrained.js'
import { type GptFigures, type GptRecipe, type GptRecipeOptions, gptRecipe, gptTask } from './gptTask.js'

/** How to make a model. */
export type GptCreateOptions = GptOptions & {
  readonly tokenizer: Tokenizer
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
  /** Threads of the compute thread's team, once per process. Default: as many as the process may use. */
  readonly threads?: number
}

const loadConfig = placementConfig.extend({ weightDtype: z.enum(['float32', 'bfloat16']).optional() })

/** Where a model runs and how it holds its weights; what is left out stays as saved. */
export type GptLoadOptions = z.input<typeof loadConfig> & { readonly threads?: number }

/** How a LLaMA checkpoint is read; `maxLength`: most tokens of a row, default as the checkpoint says. */
export type GptPretrainedOptions = GptLoadOptions & { readonly maxLength?: number }

/**
 * An autoregressive model. Every method runs off the event loop; a disposed model rejects with `ERR_DISPOSED`.
 *
 * @example
 * await using model = await GptModel.fromPretrained('checkpoints/llama')
 * const { text } = await model.generate('The sky is', { maxNewTokens: 20 })
 */
export class GptModel
  extends OpenModel
  implements TrainableModel<GptRecipeOptions, GptRecipe, GptFigures>, EditingModel<GptEditOptions>
{
  readonly family = 'gpt'
  readonly recipeSchema = gptRecipe
  readonly config: GptConfig
  readonly tokenizer: Tokenizer
  /** Numbers in its weights. */
  readonly parameterCount: number

  private constructor(session: NativeSession, config: GptConfig, tokenizer: Tokenizer, parameterCount: number) {
    super(session)
    this.config = config
    this.tokenizer = tokenizer
    this.parameterCount = parameterCount
  }

  /** A new model with random weights. */
  static async create(options: GptCreateOptions): Promise<GptModel> {
    const { tokenizer: given, seed = 0, threads, ...rest } = options
    const tokenizer = givenTokenizer(given)
    const config = parseConfig(gptConfig, rest, '')
    return GptModel.#open({ config, tokenizer, start: 'random' }, { seed, threads })
  }

  /** Loads a folder that `save` or a training run wrote; every file is verified first. */
  static async load(folder: string, options: GptLoadOptions = {}): Promise<GptModel> {
    const { threads, ...rest } = options
    const placement = parseConfig(loadConfig, rest, '')
    const { saved, tokenizer, weights } = await readSavedModel(folder, savedConfig)
    const config = { ...saved.model, ...givenOf(placement) }
    const model = await GptModel.#open({ config, tokenizer, start: 'blank' }, { seed: 0, threads })
    return filled(model, (session) => session.load(weights, 'model'))
  }

  /**
   * Reads a LLaMA checkpoint in Hugging Face layout: config.json, safetensors in one file or in shards, and tokenizer.json
   * if there is one.
   *
   * @throws MergeError `ERR_CHECKPOINT` for what is damaged, missing, or not a model of LLaMA blocks
   */
  static async fromPretrained(folder: string, options: GptPretrainedOptions = {}): Promise<GptModel> {
    const { threads, ...rest } = options
    const checkpoint = await openCheckpoint(folder)
    const shape = { ...checkpoint.options, ...rest, dtype: options.dtype ?? options.weightDtype ?? 'float32' }
    const config = parseConfig(gptConfig, givenOf(shape), '')
    const { tokenizer } = checkpoint
    const model = await GptModel.#open({ config, tokenizer, start: 'blank' }, { seed: 0, threads })
    return filled(model, (session) => readStream(session, checkpoint))
  }

  static async #open(
    model: { config: GptConfig; tokenizer: Tokenizer; start: 'random' | 'blank' },
    { seed, threads }: SessionStart,
  ): Promise<GptModel> {
    const { tokenizer, start } = model
    const embeddings = model.config.embeddings ?? tokenizer.vocabularySize
    const { eos } = tokenizer.special
    const vocabulary = model.config.vocabulary ?? tokenizer.vocabularySize
    const endOfText = model.config.endOfText ?? (eos >= 0 ? [eos] : [])
    const config = { ...model.config, embeddings, vocabulary, endOfText }
    if (embeddings < tokenizer.vocabularySize || embeddings < vocabulary) {
      const least = Math.max(vocabulary, tokenizer.vocabularySize)
      throw new MergeError(
        'ERR_CONFIG',
        `embeddings: expected at least the vocabulary's ${least}, received ${embeddings}`,
      )
    }
    const session = await openSession({ seed, threads }, (checked) =>
      gptRecord(config, embeddings, { seed: checked, start }),
    )
    return new GptModel(session, config, tokenizer, await parameterCountOf(session))
  }

  /** What a recipe lets it learn: the next token of targets, behind their sources if they have them. */
  task(recipe: GptRecipe): Task<GptFigures> {
    const [end] = this.config.endOfText ?? []
    if (end === undefined) throw new MergeError('ERR_CONFIG', 'endOfText: expected an id to train with, received none')
    return gptTask(recipe, this.tokenizer, end)
  }

  /** Writes the model's files, without a manifest, into a folder that is being written. */
  override async writeFiles(folder: string): Promise<void> {
    const config = { family: this.family, model: this.config }
    const { tokenizer } = this
    await writeSavedModel(folder, { config, tokenizer }, (file) => this[sessionKey].save(file, 'model'))
  }

  /**
   * Writes on, greedily unless `temperature` is above 0: one answer for a prompt, a list for a list. A row's tokens do not
   * depend on the rows beside it.
   */
  async generate(prompt: GptPrompt, options?: GptGenerateOptions): Promise<GptAnswer>
  async generate(prompts: readonly GptPrompt[], options?: GptGenerateOptions): Promise<GptAnswer[]>
  async generate(
    prompts: GptPrompt | readonly GptPrompt[],
    options: GptGenerateOptions = {},
  ): Promise<GptAnswer | GptAnswer[]> {
    const settings = parseConfig(gptGenerateConfig, options, '')
    if (isList(prompts)) return writeAnswers(this.#context, prompts, settings)
    const [only] = await writeAnswers(this.#context, [prompts], settings)
    if (only === undefined) throw new MergeError('ERR_INTERNAL', 'generate: expected one answer, received none')
    return only
  }

  /** Writes the target of a source, or of many, as it was trained on pairs; greedily unless `temperature` is above 0. */
  async edit(text: string, options?: GptEditOptions): Promise<EditResult>
  async edit(texts: readonly string[], options?: GptEditOptions): Promise<EditResult[]>
  async edit(input: string | readonly string[], options: GptEditOptions = {}): Promise<EditResult | EditResult[]> {
    return editTexts(this.editor(options), input)
  }

  /** What edits with these options; for evaluation. */
  editor(options: GptEditOptions = {}): Editor {
    return gptEditor(this.#context, options)
  }

  get #context(): GptContext {
    const { maxLength, endOfText = [], vocabulary = this.tokenizer.vocabularySize } = this.config
    return { session: this[sessionKey], tokenizer: this.tokenizer, vocabulary, maxLength, endOfText }
  }
}

const savedConfig = z.strictObject({ format: z.literal(1), family: z.literal('gpt'), model: gptConfig })

function isList(prompts: GptPrompt | readonly GptPrompt[]): prompts is readonly GptPrompt[] {
  return Array.isArray(prompts)
}
