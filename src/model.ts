// MergeModel: a model with its tokenizer, on one device; edits, writes and fills in text, round by round.

import { join } from 'node:path'
import { z } from 'zod'
import {
  type BatchOptions,
  batchConfig,
  type DraftOptions,
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
  recipe,
  refineConfig,
} from './config.js'
import {
  type DraftText,
  type EditingModel,
  type Editor,
  type EditResult,
  editDrafts,
  type Round,
  type TextSpan,
} from './editor.js'
import { isMergeError, MergeError } from './errors.js'
import { conditioned, type Draft, editableDraft, type HoledText, holedDraft, promptDraft } from './merge/draft.js'
import { editResult, editRows } from './merge/editResult.js'
import { type MergeFigures, mergeTask } from './merge/mergeTask.js'
import { refineRows } from './merge/refine.js'
import type { NativeSession } from './native.js'
import { filled, OpenModel, parameterCountOf, sessionKey } from './openModel.js'
import { parseConfig } from './parseConfig.js'
import { openPretrained } from './pretrained/pretrained.js'
import { checkpointError, readJson, verifyFolder, writeJson } from './savedFolder.js'
import { openSession, type SessionStart } from './session.js'
import type { Tokenizer } from './text/tokenizer.js'
import { loadTokenizer, saveTokenizer } from './text/tokenizerFile.js'
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

/**
 * A model. Every method runs off the event loop; a model that was disposed rejects with `ERR_DISPOSED`.
 *
 * @example
 * await using model = await MergeModel.load('runs/quickstart/model')
 * const { text, edits } = await model.edit('he go to school yesteday')
 */
export class MergeModel
  extends OpenModel
  implements TrainableModel<RecipeOptions, Recipe, MergeFigures>, EditingModel<BatchOptions>
{
  readonly family = 'merge'
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
    if (typeof tokenizer?.encode !== 'function')
      throw new MergeError('ERR_CONFIG', 'tokenizer: expected a tokenizer, received none')
    return MergeModel.#open(config, tokenizer, { seed, threads })
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
    await verifyFolder(folder)
    const saved = await readJson(folder, 'config.json', savedConfig)
    const config = {
      ...saved.model,
      dtype: placement.dtype ?? saved.model.dtype,
      device: placement.device ?? saved.model.device,
      matmulPrecision: placement.matmulPrecision ?? saved.model.matmulPrecision,
    }
    const model = await MergeModel.#open(config, await loadTokenizer(folder), { seed: 0, threads }, saved.pretrained)
    return filled(model, (session) => session.load(join(folder, 'model.safetensors'), 'model'))
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
    await writeJson(folder, 'config.json', {
      format: 1,
      family: this.family,
      pretrained: this.pretrained,
      model: this.config,
    })
    await saveTokenizer(this.tokenizer, folder)
    await this[sessionKey].save(join(folder, 'model.safetensors'), 'model')
  }

  /** Refines a draft and yields every round as it ends; stop early with `break`. */
  async *refine(draft: DraftText, options: DraftOptions = {}): AsyncGenerator<Round, void, undefined> {
    const settings = parseConfig(draftConfig, options, '')
    const { state } = this.#draft(draft, settings, settings.locked)
    for await (const rounds of refineRows(this.#context, [state], settings)) yield* rounds
  }

  /** Refines drafts together; yields what each round did to every row that was still active. */
  async *refineBatch(
    drafts: readonly DraftText[],
    options: RefineOptions = {},
  ): AsyncGenerator<readonly Round[], void, undefined> {
    const settings = parseConfig(refineConfig, options, '')
    const states = drafts.map((draft) => this.#draft(draft, settings).state)
    yield* refineRows(this.#context, states, settings)
  }

  /**
   * Edits a text, or many, to the end. Default mode `auto`: the gate leaves alone what needs no edit.
   *
   * @example
   * const { text, edits, stopReason } = await model.edit('He go to school yesteday.', { locked: [[0, 2]] })
   */
  async edit(draft: DraftText, options?: DraftOptions): Promise<EditResult>
  async edit(drafts: readonly DraftText[], options?: BatchOptions): Promise<EditResult[]>
  async edit(
    input: DraftText | readonly DraftText[],
    options: DraftOptions | BatchOptions = {},
  ): Promise<EditResult | EditResult[]> {
    if (isList(input)) {
      const editor = this.editor(options)
      const drafts = input.map((draft) => editor.draft(draft))
      return editDrafts(editor, drafts)
    }
    const settings = parseConfig(draftConfig, options, '')
    return this.#editOne(this.#draft(input, settings, settings.locked), settings)
  }

  /** Continues a prompt at its end; the prompt itself never changes. Default mode `gen`. */
  async generate(prompt: string, options: RefineOptions = {}): Promise<EditResult> {
    const settings = parseConfig(refineConfig, { mode: 'gen', ...options }, '')
    return this.#editOne(conditioned(this.#context, promptDraft(this.#context, prompt), settings.condition), settings)
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
    const draft = holedDraft(this.#context, text, settings.hole)
    return this.#editOne(conditioned(this.#context, draft, settings.condition), settings)
  }

  #draft(draft: DraftText, { condition }: RefineConfig, locked?: readonly TextSpan[]): Draft {
    return conditioned(this.#context, editableDraft(this.#context, draft, locked), condition)
  }

  async #editOne(draft: Draft, settings: RefineConfig): Promise<EditResult> {
    const [result] = await editRows(this.#context, [draft], settings)
    if (result === undefined) throw new MergeError('ERR_INTERNAL', 'edit: expected one result, received none')
    return result
  }

  /** What edits with these options; for evaluation. */
  editor(options: BatchOptions = {}): Editor<Draft> {
    const context = this.#context
    const { batchRows, ...settings } = parseConfig(batchConfig, options, '')
    return {
      batchRows,
      signal: settings.signal,
      keepThreshold: settings.keepThreshold,
      draft: (draft) => this.#draft(draft, settings),
      fits: (source, target) => Math.max(source.length, target.length) <= context.maxLength,
      refine: (drafts) =>
        refineRows(
          context,
          drafts.map(({ state }) => state),
          settings,
        ),
      result: (draft, rounds) => editResult(context.tokenizer, draft, rounds, settings),
    }
  }

  get #context() {
    return { session: this[sessionKey], tokenizer: this.tokenizer, ...this.config }
  }
}

const savedConfig = z.strictObject({
  format: z.literal(1),
  family: z.literal('merge'),
  pretrained: z.boolean().default(false),
  model: modelConfig,
})

const defaultMaxLength = 256

function isList(input: DraftText | readonly DraftText[]): input is readonly DraftText[] {
  return Array.isArray(input)
}
