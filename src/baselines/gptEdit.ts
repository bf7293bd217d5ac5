// GptEdit: an autoregressive model as an editor: it writes the target behind its source, in one round.

import type { z } from 'zod'
import type { Editor } from '../editor.js'
import { parseConfig } from '../parseConfig.js'
import { type GptContext, gptGenerateConfig, writeAnswers } from './gptGenerate.js'
import { sourceRow } from './gptTask.js'
import { writtenDraft, writtenResult, writtenRound } from './rewriting.js'

/** How targets are written: as answers, to their end of text. Greedy unless `temperature` is above 0. */
export const gptEditConfig = gptGenerateConfig.omit({ stop: true, stopAtEndOfText: true })

export type GptEditOptions = z.input<typeof gptEditConfig>

/**
 * What edits with these options. Of a round, `encoderPasses` are the tokens that were written, the end of text included:
 * each took a pass of the network.
 */
export function gptEditor(context: GptContext, options: GptEditOptions): Editor {
  const { tokenizer, maxLength } = context
  const settings = parseConfig(gptEditConfig, options, '')
  // A target has its end of text at least.
  const room = maxLength - sourceRow(tokenizer, new Int32Array(0)).length - 1
  return {
    batchRows: settings.batchRows,
    signal: settings.signal,
    keepThreshold: 0.5,
    draft: (text) => writtenDraft(tokenizer, text, room),
    fits: (source, target) => source.length + target.length <= room,
    async *refine(drafts) {
      const prompts = drafts.map(({ text }) => ({ source: text }))
      const answers = await writeAnswers(context, prompts, { ...settings, stop: [], stopAtEndOfText: true })
      yield answers.map(({ tokens, probability, stop }, row) => {
        const { text = '', state = { tokens: new Int32Array(0) } } = drafts[row] ?? {}
        const isWhole = stop === 'endOfText'
        return writtenRound(tokenizer, {
          ...{ row, round: 1, before: { text, tokens: state.tokens }, tokens },
          ...{ confidence: probability, fresh: probability, truncated: !isWhole },
          encoderPasses: tokens.length + (isWhole ? 1 : 0),
          stopReason: isWhole ? 'ended' : 'exhausted',
        })
      })
    },
    result: writtenResult,
  }
}
