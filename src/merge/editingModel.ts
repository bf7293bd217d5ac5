// EditingModel: what every model that edits drafts by rounds answers, whatever happens in its rounds.

import type { z } from 'zod'
import { MergeError } from '../errors.js'
import { OpenModel } from '../openModel.js'
import { parseConfig } from '../parseConfig.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { type Draft, type DraftText, editableDraft, type TextSpan } from './draft.js'
import { type EditResult, editRows } from './editResult.js'
import { type LoopSettings, type RefineContext, type Round, refineRows } from './refine.js'

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
export abstract class EditingModel<S extends LoopSettings = LoopSettings, O extends object = object> extends OpenModel {
  abstract readonly family: string
  abstract readonly config: { readonly maxLength: number }
  abstract readonly tokenizer: Tokenizer
  /** The schemas of the options below. */
  abstract readonly editSchemas: EditSchemas<S, O>
  /** @internal Throws `ERR_DISPOSED` once the model was disposed. */
  abstract get [contextKey](): RefineContext<S> & { readonly tokenizer: Tokenizer }

  /** Refines a draft and yields every round as it ends; stop early with `break`. */
  async *refine(draft: DraftText, options?: DraftOptionsOf<O>): AsyncGenerator<Round, void, undefined> {
    const settings = parseConfig(this.editSchemas.draft, options ?? {}, '')
    const { state } = editableDraft(this[contextKey], draft, settings.locked)
    for await (const rounds of refineRows(this[contextKey], [state], settings)) yield* rounds
  }

  /** Refines drafts together; yields what each round did to every row that was still active. */
  async *refineBatch(drafts: readonly DraftText[], options?: O): AsyncGenerator<readonly Round[], void, undefined> {
    const settings = parseConfig(this.editSchemas.refine, options ?? {}, '')
    const states = drafts.map((draft) => editableDraft(this[contextKey], draft).state)
    yield* refineRows(this[contextKey], states, settings)
  }

  /**
   * Edits a text, or many, to the end.
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
    if (isList(input)) return this.#editAll(input, options)
    const settings = parseConfig(this.editSchemas.draft, options ?? {}, '')
    return this.editDraft(editableDraft(this[contextKey], input, settings.locked), settings)
  }

  /** Edits a draft, whatever it was made from, to the end. */
  protected async editDraft(draft: Draft, settings: S): Promise<EditResult> {
    const [result] = await editRows(this[contextKey], [draft], settings)
    if (result === undefined) throw new MergeError('ERR_INTERNAL', 'edit: expected one result, received none')
    return result
  }

  // Rows of like length are refined together; results come back in the caller's order.
  async #editAll(drafts: readonly DraftText[], options: unknown = {}): Promise<EditResult[]> {
    const settings = parseConfig(this.editSchemas.batch, options, '')
    const context = this[contextKey]
    const rows = drafts.map((draft, index) => ({ index, draft: editableDraft(context, draft) }))
    rows.sort((a, b) => a.draft.state.tokens.length - b.draft.state.tokens.length || a.index - b.index)
    const results = new Map<number, EditResult>()
    for (let start = 0; start < rows.length; start += settings.batchRows) {
      const batch = rows.slice(start, start + settings.batchRows)
      const edited = await editRows(
        context,
        batch.map((row) => row.draft),
        settings,
      )
      edited.forEach((result, place) => {
        results.set(batch[place]?.index ?? -1, result)
      })
    }
    return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
  }
}

function isList(input: DraftText | readonly DraftText[]): input is readonly DraftText[] {
  return Array.isArray(input)
}
