// MaskGitModel: a mask-predict model with its tokenizer: it writes whole targets in a few rounds, in any order.

import { z } from 'zod'
import { placementConfig } from '../config.js'
import type { EditingModel, Editor, EditResult, Round } from '../editor.js'
import { MergeError } from '../errors.js'
import type { NativeSession } from '../native.js'
import { filled, OpenModel, parameterCountOf, sessionKey } from '../openModel.js'
import { givenOf, parseConfig } from '../parseConfig.js'
import { editTexts } from '../rewriting.js'
import { givenTokenizer, readSavedModel, writeSavedModel } from '../savedModel.js'
import { openSession, type SessionStart } from '../session.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Task, TrainableModel } from '../training/task.js'
import { type MaskGitConfig, type MaskGitOptions, maskgitConfig, maskgitRecord } from './maskgitConfig.js'
import { freeTarget, maskgitEditor } from './maskgitEdit.js'
import type { MaskGitContext, MaskGitFillOptions } from './maskgitFill.js'
import {
  type MaskGitFigures,
  type MaskGitRecipe,
  type MaskGitRecipeOptions,
  maskgitRecipe,
  maskgitTask,
} from './maskgitTask.js'

/** How to make a model. */
export type MaskGitCreateOptions = MaskGitOptions & {
  readonly tokenizer: Tokenizer
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
  /** Threads of the compute thread's team, once per process. Default: as many as the process may use. */
  readonly threads?: number
}

const loadConfig = placementConfig.extend({ weightDtype: z.enum(['float32', 'bfloat16']).optional() })

/** Where a model runs and how it holds its weights; what is left out stays as saved. */
export type MaskGitLoadOptions = z.input<typeof loadConfig> & { readonly threads?: number }

/**
 * A mask-predict model (Ghazvininejad et al. 2019, arXiv 1904.09324) with MaskGIT's schedule (Chang et al. 2022, arXiv
 * 2202.04200). Every method runs off the event loop; a disposed model rejects with `ERR_DISPOSED`.
 *
 * @example
 * await using model = await MaskGitModel.load('runs/maskgit/model')
 * const { text, rounds } = await model.edit('he go to school yesteday', { maxRounds: 10 })
 */
export class MaskGitModel
  extends OpenModel
  implements TrainableModel<MaskGitRecipeOptions, MaskGitRecipe, MaskGitFigures>, EditingModel<MaskGitFillOptions>
{
  readonly family = 'maskgit'
  readonly recipeSchema = maskgitRecipe
  readonly config: MaskGitConfig
  readonly tokenizer: Tokenizer
  /** Numbers in its weights. */
  readonly parameterCount: number

  private constructor(session: NativeSession, config: MaskGitConfig, tokenizer: Tokenizer, parameterCount: number) {
    super(session)
    this.config = config
    this.tokenizer = tokenizer
    this.parameterCount = parameterCount
  }

  /** A new model with random weights. The tokenizer needs a mask, a begin and a separator. */
  static async create(options: MaskGitCreateOptions): Promise<MaskGitModel> {
    const { tokenizer: given, seed = 0, threads, ...rest } = options
    const tokenizer = givenTokenizer(given)
    const config = parseConfig(maskgitConfig, rest, '')
    return MaskGitModel.#open({ config, tokenizer, start: 'random' }, { seed, threads })
  }

  /** Loads a folder that `save` or a training run wrote; every file is verified first. */
  static async load(folder: string, options: MaskGitLoadOptions = {}): Promise<MaskGitModel> {
    const { threads, ...rest } = options
    const placement = parseConfig(loadConfig, rest, '')
    const { saved, tokenizer, weights } = await readSavedModel(folder, savedConfig)
    const config = { ...saved.model, ...givenOf(placement) }
    const model = await MaskGitModel.#open({ config, tokenizer, start: 'blank' }, { seed: 0, threads })
    return filled(model, (session) => session.load(weights, 'model'))
  }

  static async #open(
    model: { config: MaskGitConfig; tokenizer: Tokenizer; start: 'random' | 'blank' },
    { seed, threads }: SessionStart,
  ): Promise<MaskGitModel> {
    const { config, tokenizer, start } = model
    const embeddings = config.embeddings ?? tokenizer.vocabularySize
    if (embeddings < tokenizer.vocabularySize) {
      throw new MergeError(
        'ERR_CONFIG',
        `embeddings: expected at least the tokenizer's ${tokenizer.vocabularySize}, received ${embeddings}`,
      )
    }
    const { mask, bos, sep } = tokenizer.special
    for (const [name, id] of Object.entries({ mask, bos, sep })) {
      if (id < 0) throw new MergeError('ERR_CONFIG', `tokenizer: expected a token for ${name}, received none`)
    }
    const session = await openSession({ seed, threads }, (checked) =>
      maskgitRecord(config, { embeddings, mask }, { seed: checked, start }),
    )
    return new MaskGitModel(session, { ...config, embeddings }, tokenizer, await parameterCountOf(session))
  }

  /** What a recipe lets it learn: masked tokens of targets, behind their sources if they have them, and lengths. */
  task(recipe: MaskGitRecipe): Task<MaskGitFigures> {
    return maskgitTask(recipe, this.tokenizer)
  }

  /** Writes the model's files, without a manifest, into a folder that is being written. */
  override async writeFiles(folder: string): Promise<void> {
    const config = { family: this.family, model: this.config }
    const { tokenizer } = this
    await writeSavedModel(folder, { config, tokenizer }, (file) => this[sessionKey].save(file, 'model'))
  }

  /** Writes the target of a source and yields every round as it ends; stop early with `break`. */
  async *refine(text: string, options: MaskGitFillOptions = {}): AsyncGenerator<Round, void, undefined> {
    for await (const rounds of this.refineBatch([text], options)) yield* rounds
  }

  /** Writes targets together; yields what each round did to every row that was still active. */
  async *refineBatch(
    texts: readonly string[],
    options: MaskGitFillOptions = {},
  ): AsyncGenerator<readonly Round[], void, undefined> {
    const editor = this.editor(options)
    yield* editor.refine(texts.map((text) => editor.draft(text)))
  }

  /** Writes the target of a source, or of many. */
  async edit(text: string, options?: MaskGitFillOptions): Promise<EditResult>
  async edit(texts: readonly string[], options?: MaskGitFillOptions): Promise<EditResult[]>
  async edit(input: string | readonly string[], options: MaskGitFillOptions = {}): Promise<EditResult | EditResult[]> {
    return editTexts(this.editor(options), input)
  }

  /** Writes a text of so many tokens without any source, as a model that was trained without sources can. */
  async generate(length: number, options: MaskGitFillOptions = {}): Promise<EditResult> {
    return freeTarget(this.#context, length, options)
  }

  /** What edits with these options; for evaluation. */
  editor(options: MaskGitFillOptions = {}): Editor {
    return maskgitEditor(this.#context, options)
  }

  get #context(): MaskGitContext {
    const { maxLength, lengthRange } = this.config
    return { session: this[sessionKey], tokenizer: this.tokenizer, maxLength, lengthRange }
  }
}

const savedConfig = z.strictObject({ format: z.literal(1), family: z.literal('maskgit'), model: maskgitConfig })
