// MaskGitEdit: a mask-predict model as an editor: the target of a source, in rounds that fill masks.

import type { Editor, EditResult, Round, TokenDraft } from '../editor.js'
import { MergeError } from '../errors.js'
import { parseConfig } from '../parseConfig.js'
import {
  type FillRequest,
  fillRows,
  type MaskGitContext,
  type MaskGitFillConfig,
  type MaskGitFillOptions,
  maskgitFillConfig,
} from './maskgitFill.js'
import { conditionRow } from './maskgitTask.js'
import { writtenDraft, writtenResult, writtenRound } from './rewriting.js'

/** What edits with these options. */
export function maskgitEditor(context: MaskGitContext, options: MaskGitFillOptions): Editor {
  const { tokenizer, maxLength } = context
  const settings = parseConfig(maskgitFillConfig, options, '')
  return {
    batchRows: settings.batchRows,
    signal: settings.signal,
    keepThreshold: 0.5,
    draft: (text) => writtenDraft(tokenizer, text, maxLength),
    fits: (source, target) => Math.max(source.length, target.length) <= maxLength,
    refine: (drafts) => {
      const requests = drafts.map(({ state }) => ({ condition: conditionRow(tokenizer, state.tokens) }))
      return writtenRounds(context, drafts, requests, settings)
    },
    result: writtenResult,
  }
}

/** A text of `length` tokens without a source. */
export async function freeTarget(
  context: MaskGitContext,
  length: number,
  options: MaskGitFillOptions,
): Promise<EditResult> {
  const settings = parseConfig(maskgitFillConfig, options, '')
  const { tokenizer, maxLength } = context
  if (!Number.isInteger(length) || length < 1 || length > maxLength) {
    throw new MergeError('ERR_INPUT', `length: expected a whole number 1..${maxLength} (maxLength), received ${length}`)
  }
  if (settings.lengths !== 1)
    throw new MergeError('ERR_CONFIG', `lengths: expected 1 of a target without a source, received ${settings.lengths}`)
  const draft: TokenDraft = { text: '', state: { tokens: new Int32Array(0) } }
  const history: Round[] = []
  const request = { condition: conditionRow(tokenizer, undefined), length }
  for await (const rounds of writtenRounds(context, [draft], [request], settings)) history.push(...rounds)
  return writtenResult(draft, history)
}

async function* writtenRounds(
  context: MaskGitContext,
  drafts: readonly TokenDraft[],
  requests: readonly FillRequest[],
  settings: MaskGitFillConfig,
): AsyncGenerator<readonly Round[], void, undefined> {
  const before = drafts.map(({ text, state }) => ({ text, tokens: state.tokens, round: 0 }))
  for await (const states of fillRows(context, requests, settings)) {
    yield states.map(({ row, tokens, confidence, fresh, done, passes }) => {
      const last = before[row] ?? { text: '', tokens: new Int32Array(0), round: 0 }
      const round = writtenRound(context.tokenizer, {
        ...{ row, round: last.round + 1, before: last, tokens, confidence, fresh },
        ...{ truncated: false, encoderPasses: passes, stopReason: done ? 'ended' : undefined },
      })
      before[row] = { text: round.text, tokens, round: round.round }
      return round
    })
  }
}
