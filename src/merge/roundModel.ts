// RoundModel: a model whose rounds are the engine's: refine, edit and its editor, whatever a round does.

import type { z } from 'zod'
import {
  type DraftText,
  type EditingModel,
  type Editor,
  type EditResult,
  editDrafts,
  type Round,
  type TextSpan,
} from '../editor.js'
import { MergeError } from '../errors.js'
import { OpenModel, sessionKey } from '../openModel.js'
import { parseConfig } from '../parseConfig.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { conditioned, type Draft, editableDraft } from './draft.js'
import { editResult, editRows } from './editResult.js'
import { type LoopSettings, type RefineContext, refineRows } from './refine.js'
import { sharedRounds } from './sharedRounds.js'

/** The key of what the loop needs of a model; only for this package's own loops. */
export const contextKey: unique symbol = Symbol('context')

/** How one draft is edited; O: the options of a family's loop. */
export type DraftOptionsOf<O> = O & { readonly locked?: readonly TextSpan[] | undefined }
/** How many drafts are edited. */
export type BatchOptionsOf<O> = O & { readonly batchRows?: number | undefined }

/** The schemas of a family's options. S: settings of its loop, O: how a caller gives them. */
export interface EditSchemas<S, O> {
  readonly refine: z.ZodType<S, O>
  readonly draft: z.ZodType<S & { readonly locked: readonly TextSpan[] }, DraftOptionsOf<O>>
  readonly batch: z.ZodType<S & { readonly batchRows: number }, BatchOptionsOf<O>>
}

/** A model that edits drafts round by round. Every method runs off the event loop. */
export abstract class RoundModel<S extends LoopSettings, O extends object>
  extends OpenModel
  implements EditingModel<BatchOptionsOf<O>>
{
  #rounds: ReturnType<typeof sharedRounds> | undefined

  abstract readonly tokenizer: Tokenizer
  /** The schemas of the options below. */
  abstract readonly editSchemas: EditSchemas<S, O>
  /** @internal Throws `ERR_DISPOSED` once the model was disposed. */
  abstract get [contextKey](): RefineContext<S> & { readonly tokenizer: Tokenizer }

  /** The session as loops use it: calls that are under way at the same time share their rounds. */
  protected get roundSession(): RefineContext<S>['session'] {
    const session = this[sessionKey]
    this.#rounds ??= sharedRounds(session)
    return { refineRound: this.#rounds.refineRound, forget: (...ended) => session.forget(...ended) }
  }

  /** Refines a draft and yields every round as it ends; stop early with `break`. */
  async *refine(draft: DraftText, options?: DraftOptionsOf<O>): AsyncGenerator<Round, void, undefined> {
    const settings = parseConfig(this.editSchemas.draft, options ?? {}, '')
    const { state } = this.#draft(draft, settings, settings.locked)
    for await (const rounds of refineRows(this[contextKey], [state], settings)) yield* rounds
  }

  /** Refines drafts together; yields what each round did to every row that was still active. */
  async *refineBatch(drafts: readonly DraftText[], options?: O): AsyncGenerator<readonly Round[], void, undefined> {
    const settings = parseConfig(this.editSchemas.refine, options ?? {}, '')
    const states = drafts.map((draft) => this.#draft(draft, settings).state)
    yield* refineRows(this[contextKey], states, settings)
  }

  /**
   * Edits a text, or many, to the end. Calls that are under way at the same time share their rounds, where they ask for the
   * same and draw nothing (`temperature: 0`); each gets what it would get alone.
   *
   * @example
   * const { text, edits, stopReason } = await model.edit('He go to school yesteday.', { locked: [[0, 2]] })
   */
  async edit(draft: DraftText, options?: DraftOptionsOf<O>): Promise<EditResult>
  async edit(drafts: readonly DraftText[], options?: BatchOptionsOf<O>): Promise<EditResult[]>
  async edit(
    input: DraftText | readonly DraftText[],
    options?: DraftOptionsOf<O> | BatchOptionsOf<O>,
  ): Promise<EditResult | EditResult[]> {
    if (isList(input)) {
      const editor = this.#editor(options)
      const drafts = input.map((draft) => editor.draft(draft))
      return editDrafts(editor, drafts)
    }
    const settings = parseConfig(this.editSchemas.draft, options ?? {}, '')
    return this.editDraft(this.#draft(input, settings, settings.locked), settings)
  }

  /** What edits with these options; for evaluation. */
  editor(options?: BatchOptionsOf<O>): Editor<Draft> {
    return this.#editor(options)
  }

  /** Edits a draft, whatever it was made from, to the end. */
  protected async editDraft(given: Draft, settings: S): Promise<EditResult> {
    const draft = conditioned(this[contextKey], given, settings.condition)
    const [result] = await editRows(this[contextKey], [draft], settings)
    if (result === undefined) throw new MergeError('ERR_INTERNAL', 'edit: expected one result, received none')
    return result
  }

  #draft(draft: DraftText, { condition }: LoopSettings, locked?: readonly TextSpan[]): Draft {
    return conditioned(this[contextKey], editableDraft(this[contextKey], draft, locked), condition)
  }

  // The options are checked by the schema.
  #editor(options: unknown = {}): Editor<Draft> {
    const context = this[contextKey]
    const settings = parseConfig(this.editSchemas.batch, options, '')
    return {
      batchRows: settings.batchRows,
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
}

function isList(input: DraftText | readonly DraftText[]): input is readonly DraftText[] {
  return Array.isArray(input)
}
