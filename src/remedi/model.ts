// RemediModel: a RemeDi model with its tokenizer, on one device; generates by blocks, and knows which tokens to doubt.

import { z } from 'zod'
import { type LoraOptions, loraConfig } from '../config/lora.js'
import { placementConfig } from '../config.js'
import type { EditingModel, Editor } from '../editor.js'
import { MergeError } from '../errors.js'
import type { NativeSession } from '../native.js'
import { filled, OpenModel, sessionKey } from '../openModel.js'
import { givenOf, parseConfig } from '../parseConfig.js'
import { writeFolder } from '../savedFolder.js'
import { givenTokenizer, readSavedModel, writeSavedModel } from '../savedModel.js'
import { openSession, type SessionStart } from '../session.js'
import type { ChatTemplate } from '../text/chatTemplate.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Task, TrainableModel } from '../training/task.js'
import type { Answer } from './answer.js'
import { chatTemplateOf } from './chat.js'
import { type RemediConfig, type RemediOptions, remediConfig, remediRecord } from './config.js'
import { remediEditor } from './edit.js'
import { type DenoisingStep, generateRows } from './generate.js'
import { type GenerateOptions, generateConfig } from './generateConfig.js'
import { beginLora, isLearned, saveMerged } from './lora.js'
import {
  type ExportOptions,
  openPretrained,
  readAttachments,
  readPretrained,
  writeAttachments,
  writePretrained,
} from './pretrained.js'
import { promptRow, type RemediPrompt } from './prompt.js'
import { type RemediRecipe, type RemediRecipeOptions, remediRecipe } from './recipe.js'
import { type RemediFigures, remediTask } from './task.js'

/** How to make a model. */
export type RemediCreateOptions = RemediOptions & {
  readonly tokenizer: Tokenizer
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
  /** Threads of the compute thread's team, once per process. Default: as many as the process may use. */
  readonly threads?: number
}

const loadConfig = placementConfig.extend({
  weightDtype: z.enum(['float32', 'bfloat16']).optional(),
  lora: loraConfig.optional(),
})

/** Where a model runs and how it holds its weights; what is left out stays as saved. */
export type RemediLoadOptions = z.input<typeof loadConfig> & {
  readonly threads?: number
  /** Low-rank updates that are to learn in place of the weights; for a model that has none. Default: as saved. */
  readonly lora?: LoraOptions
  /** Seed of new low-rank updates. Default 0. */
  readonly seed?: number
}

/** How a checkpoint of another program is read. */
export interface PretrainedOptions extends RemediLoadOptions {
  /** Seed of what the checkpoint lacks: the policy stream of a LLaDA or LLaMA checkpoint, low-rank updates. Default 0. */
  readonly seed?: number
  /** Policy blocks of a checkpoint that has none; see `remediConfig`. */
  readonly policyBlocks?: number
  readonly policyPositions?: readonly number[]
  readonly blockLength?: number
  /** Most tokens of a row. Default: as the checkpoint says. */
  readonly maxLength?: number
}

/**
 * A RemeDi model (arXiv 2509.23653). Every method runs off the event loop; a disposed model rejects with `ERR_DISPOSED`.
 *
 * @example
 * await using model = await RemediModel.fromPretrained('checkpoints/RemeDi-RL', { weightDtype: 'bfloat16' })
 * for await (const { text, remasked } of model.generate({ messages: [{ role: 'user', content: 'Why is the sky blue?' }] })) {
 *   console.log(remasked.length, text)
 * }
 */
export class RemediModel
  extends OpenModel
  implements TrainableModel<RemediRecipeOptions, RemediRecipe, RemediFigures>, EditingModel<GenerateOptions>
{
  readonly family = 'remedi'
  readonly recipeSchema = remediRecipe
  readonly config: RemediConfig
  readonly tokenizer: Tokenizer
  /** Numbers in its weights. */
  readonly parameterCount: number
  /** Those of them that can learn: all but the frozen ones of a model with low-rank updates. */
  readonly trainableCount: number
  /** Files of a checkpoint that are kept as they are: chat template and its kin. */
  readonly attachments: ReadonlyMap<string, Uint8Array>
  readonly #chat: ChatTemplate | undefined

  private constructor(
    session: NativeSession,
    config: RemediConfig,
    tokenizer: Tokenizer,
    facts: Pick<RemediModel, 'parameterCount' | 'trainableCount' | 'attachments'>,
  ) {
    super(session)
    this.config = config
    this.tokenizer = tokenizer
    this.parameterCount = facts.parameterCount
    this.trainableCount = facts.trainableCount
    this.attachments = facts.attachments
    this.#chat = chatTemplateOf(facts.attachments)
  }

  /** A new model with random weights. */
  static async create(options: RemediCreateOptions): Promise<RemediModel> {
    const { tokenizer: given, seed = 0, threads, ...rest } = options
    const tokenizer = givenTokenizer(given)
    const config = parseConfig(remediConfig, rest, '')
    return RemediModel.#open({ config, tokenizer, start: 'random' }, { seed, threads })
  }

  /** Loads a folder that `save` or a training run wrote; every file is verified first. */
  static async load(folder: string, options: RemediLoadOptions = {}): Promise<RemediModel> {
    const { threads, seed = 0, ...rest } = options
    const placement = parseConfig(loadConfig, rest, '')
    const { saved, tokenizer, weights } = await readSavedModel(folder, savedConfig)
    if (saved.model.lora !== undefined && placement.lora !== undefined) {
      throw new MergeError('ERR_CONFIG', 'lora: expected none, as this model has updates; save it merged first')
    }
    const config = { ...saved.model, ...givenOf(placement) }
    const attachments = await readAttachments(folder)
    const model = await RemediModel.#open({ config, tokenizer, start: 'blank', attachments }, { seed, threads })
    return filled(model, (session) =>
      placement.lora === undefined ? session.load(weights, 'model') : beginLora(session, weights),
    )
  }

  /**
   * Reads a RemeDi, LLaDA or LLaMA checkpoint in Hugging Face layout: config.json, safetensors in one file or in shards, and
   * tokenizer.json if there is one. The policy stream of a checkpoint without one is drawn. With `weightDtype: 'bfloat16'`
   * it computes in bfloat16, too, unless `dtype` says otherwise.
   *
   * @throws MergeError `ERR_CHECKPOINT` for what is damaged, missing, or not a model of LLaMA blocks
   */
  static async fromPretrained(folder: string, options: PretrainedOptions = {}): Promise<RemediModel> {
    const { threads, seed = 0, ...rest } = options
    const pretrained = await openPretrained(folder)
    const shape = { ...pretrained.options, ...rest, dtype: options.dtype ?? options.weightDtype ?? 'float32' }
    const config = parseConfig(remediConfig, givenOf(shape), '')
    const attachments = await readAttachments(folder)
    const model = await RemediModel.#open(
      { config, tokenizer: pretrained.tokenizer, start: 'blank', attachments },
      { seed, threads },
    )
    return filled(model, (session) => readPretrained(session, pretrained))
  }

  static async #open(
    model: {
      config: RemediConfig
      tokenizer: Tokenizer
      start: 'random' | 'blank'
      attachments?: ReadonlyMap<string, Uint8Array>
    },
    start: SessionStart,
  ): Promise<RemediModel> {
    const { tokenizer } = model
    const { mask, eos } = tokenizer.special
    const endOfText = model.config.endOfText ?? (eos >= 0 ? [eos] : [])
    const config = {
      ...model.config,
      embeddings: model.config.embeddings ?? tokenizer.vocabularySize,
      mask: model.config.mask ?? mask,
      endOfText,
    }
    if (config.embeddings < tokenizer.vocabularySize) {
      throw new MergeError(
        'ERR_CONFIG',
        `embeddings: expected at least the tokenizer's ${tokenizer.vocabularySize}, received ${config.embeddings}`,
      )
    }
    const session = await openSession(start, (seed) => remediRecord(config, config, { seed, start: model.start }))
    const parameters = await session.parameters()
    const count = (all: typeof parameters) =>
      all.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0)
    return new RemediModel(session, config, tokenizer, {
      parameterCount: count(parameters),
      trainableCount: count(parameters.filter(({ name }) => isLearned(config.lora, name))),
      attachments: model.attachments ?? new Map(),
    })
  }

  /** What a recipe lets it learn. */
  task(recipe: RemediRecipe): Task<RemediFigures> {
    const open = async (folder: string) => {
      const model = await RemediModel.load(folder)
      return { session: model[sessionKey], dispose: () => model.dispose() }
    }
    return remediTask(recipe, { config: this.config, tokenizer: this.tokenizer, open })
  }

  /**
   * Writes config.json, tokenizer.json, model.safetensors and manifest.json; the folder exists whole or not at all. With
   * `mergeLora` low-rank updates become part of the weights, and the folder is that of a model without.
   */
  override async save(folder: string, { mergeLora = false }: { readonly mergeLora?: boolean } = {}): Promise<void> {
    await writeFolder(folder, { kind: 'model' }, (temporary) => this.#write(temporary, { mergeLora }))
  }

  /** Writes the model's files, without a manifest, into a folder that is being written. */
  override async writeFiles(folder: string): Promise<void> {
    await this.#write(folder, { mergeLora: false })
  }

  async #write(folder: string, { mergeLora }: { readonly mergeLora: boolean }): Promise<void> {
    const { lora, ...whole } = this.config
    const isMerged = mergeLora && lora !== undefined
    const config = { family: this.family, model: isMerged ? whole : this.config }
    await writeAttachments(folder, this.attachments)
    await writeSavedModel(folder, { config, tokenizer: this.tokenizer }, (file) =>
      isMerged ? saveMerged(this[sessionKey], file) : this[sessionKey].save(file, 'model'),
    )
  }

  /**
   * Writes a checkpoint in the official layout: weights under the official names, in shards if they are many, config.json,
   * tokenizer.json and the chat template. Low-rank updates are merged into the weights. Our manifest.json lies beside them;
   * other programs pass over it.
   */
  async exportPretrained(folder: string, options: ExportOptions = {}): Promise<void> {
    await writeFolder(folder, { kind: 'model' }, async (temporary) => {
      await writePretrained(temporary, { ...this.#parts, embeddings: this.config.embeddings ?? 0 }, options)
      await writeAttachments(temporary, this.attachments)
    })
  }

  /** Generates an answer, or many; yields every denoising step, the last one of each row with its result. */
  async *generate(
    prompts: RemediPrompt | readonly RemediPrompt[],
    options: GenerateOptions = {},
  ): AsyncGenerator<DenoisingStep, void, undefined> {
    const settings = parseConfig(generateConfig, options, '')
    const { config, tokenizer } = this.#parts
    const mask = config.mask ?? tokenizer.special.mask
    const blockLength = settings.blockLength ?? config.blockLength
    const { maxLength } = config
    const context = { tokenizer, mask, maxLength, blockLength, maxNewTokens: settings.maxNewTokens, chat: this.#chat }
    const rows = (isList(prompts) ? prompts : [prompts]).map((prompt) => promptRow(context, prompt))
    yield* generateRows({ ...this.#parts, mask, blockLength, endOfText: config.endOfText ?? [] }, rows, settings)
  }

  /**
   * Generates to the end: one answer for a prompt, a list for a list.
   *
   * @example
   * const { text, remasks } = await model.complete('The sky is', { steps: 8 })
   */
  async complete(prompt: RemediPrompt, options?: GenerateOptions): Promise<Answer>
  async complete(prompts: readonly RemediPrompt[], options?: GenerateOptions): Promise<Answer[]>
  async complete(
    prompts: RemediPrompt | readonly RemediPrompt[],
    options: GenerateOptions = {},
  ): Promise<Answer | Answer[]> {
    const results = new Map<number, Answer>()
    for await (const { row, result } of this.generate(prompts, options)) {
      if (result !== undefined) results.set(row, result)
    }
    const sorted = [...results].sort(([a], [b]) => a - b).map(([, answer]) => answer)
    if (isList(prompts)) return sorted
    const [only] = sorted
    if (only === undefined) throw new MergeError('ERR_INTERNAL', 'generate: expected one answer, received none')
    return only
  }

  /** What edits with these options, an answer behind each source; for evaluation. */
  editor(options: GenerateOptions = {}): Editor {
    return remediEditor(this.config, this.tokenizer, options, (prompts, settings) => this.generate(prompts, settings))
  }

  get #parts() {
    return { session: this[sessionKey], config: this.config, tokenizer: this.tokenizer }
  }
}

const savedConfig = z.strictObject({
  format: z.literal(1),
  family: z.literal('remedi'),
  model: remediConfig,
})

function isList(prompts: RemediPrompt | readonly RemediPrompt[]): prompts is readonly RemediPrompt[] {
  return Array.isArray(prompts)
}
