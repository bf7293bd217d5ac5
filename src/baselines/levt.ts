// LevtModel: a Levenshtein Transformer with its tokenizer: delete, insert placeholders, fill them, round by round.

import { z } from 'zod'
import { placementConfig } from '../config.js'
import { contextKey, RoundModel } from '../merge/roundModel.js'
import type { NativeSession } from '../native.js'
import { filled, parameterCountOf, sessionKey } from '../openModel.js'
import { givenOf, parseConfig } from '../parseConfig.js'
import { givenTokenizer, readSavedModel, writeSavedModel } from '../savedModel.js'
import { openSession, type SessionStart } from '../session.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { Task, TrainableModel } from '../training/task.js'
import {
  type LevtConfig,
  type LevtOptions,
  type LevtRefineConfig,
  type LevtRefineOptions,
  levtConfig,
  levtEditSchemas,
  levtRecord,
  levtRoundRecord,
} from './levtConfig.js'
import { type LevtFigures, type LevtRecipe, type LevtRecipeOptions, levtRecipe, levtTask } from './levtTask.js'

/** How to make a model. */
export type LevtCreateOptions = LevtOptions & {
  readonly tokenizer: Tokenizer
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
  /** Threads of the compute thread's team, once per process. Default: as many as the process may use. */
  readonly threads?: number
}

/** Where to load a model. */
export type LevtLoadOptions = z.input<typeof placementConfig> & { readonly threads?: number }

/**
 * The Levenshtein Transformer (Gu et al. 2019, arXiv 1905.11006) as a baseline: MERGE's encoder under the paper's heads for
 * deletion, placeholders and tokens, trained by imitation of the edit oracle. Where the paper edits under a source that an
 * encoder of its own reads, here the draft is y^0 and the only input. There is no gate: `Round.gate` is 1. Rounds are
 * greedy. A model that was disposed rejects with `ERR_DISPOSED`.
 *
 * @example
 * await using model = await LevtModel.create({ layers: 4, tokenizer })
 * for await (const { step, terms } of new Trainer(model, { steps: 5000 }).run(examples)) console.log(step, terms.token)
 * const { text } = await model.edit('he go to school yesteday')
 */
export class LevtModel
  extends RoundModel<LevtRefineConfig, LevtRefineOptions>
  implements TrainableModel<LevtRecipeOptions, LevtRecipe, LevtFigures>
{
  readonly family = 'levt'
  readonly editSchemas = levtEditSchemas
  readonly recipeSchema = levtRecipe
  readonly config: LevtConfig
  readonly tokenizer: Tokenizer
  /** Number of trainable numbers. */
  readonly parameterCount: number

  private constructor(
    session: NativeSession,
    { config, tokenizer, parameterCount }: Pick<LevtModel, 'config' | 'tokenizer' | 'parameterCount'>,
  ) {
    super(session)
    this.config = config
    this.tokenizer = tokenizer
    this.parameterCount = parameterCount
  }

  /** A new model with random weights. */
  static async create(options: LevtCreateOptions): Promise<LevtModel> {
    const { tokenizer, seed = 0, threads, ...rest } = options
    const config = parseConfig(levtConfig, rest, '')
    return LevtModel.#open(config, givenTokenizer(tokenizer), { seed, threads })
  }

  /** Loads a folder that `save` or a training run wrote; every file is verified first. */
  static async load(folder: string, options: LevtLoadOptions = {}): Promise<LevtModel> {
    const { threads, ...rest } = options
    const placement = parseConfig(placementConfig, rest, '')
    const { saved, tokenizer, weights } = await readSavedModel(folder, savedConfig)
    const config = { ...saved.model, ...givenOf(placement) }
    const model = await LevtModel.#open(config, tokenizer, { seed: 0, threads })
    return filled(model, (session) => session.load(weights, 'model'))
  }

  static async #open(config: LevtConfig, tokenizer: Tokenizer, start: SessionStart): Promise<LevtModel> {
    const { pad, bos, eos, mask, sep } = tokenizer.special
    const vocabulary = { vocabulary: tokenizer.vocabularySize, pad, bos, eos, mask, sep }
    const session = await openSession(start, (seed) => levtRecord(config, vocabulary, seed))
    return new LevtModel(session, { config, tokenizer, parameterCount: await parameterCountOf(session) })
  }

  /** What a recipe lets it learn. */
  task(recipe: LevtRecipe): Task<LevtFigures> {
    return levtTask(recipe, this.config.maxLength)
  }

  /** Writes the model's files, without a manifest, into a folder that is being written. */
  override async writeFiles(folder: string): Promise<void> {
    const config = { family: this.family, model: this.config }
    const { tokenizer } = this
    await writeSavedModel(folder, { config, tokenizer }, (file) => this[sessionKey].save(file, 'model'))
  }

  override get [contextKey]() {
    const { tokenizer, config } = this
    const plain = { condition: 'none', encodings: 'three' } as const
    return { ...plain, session: this.roundSession, tokenizer, maxLength: config.maxLength, recordOf: levtRoundRecord }
  }
}

const savedConfig = z.strictObject({ format: z.literal(1), family: z.literal('levt'), model: levtConfig })
