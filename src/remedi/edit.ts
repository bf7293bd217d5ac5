// RemediEdit: a RemeDi model as an editor: the answer behind a source is its target, a denoising step is a round.

import type { Editor } from '../editor.js'
import { parseConfig } from '../parseConfig.js'
import { writtenDraft, writtenResult, writtenRound } from '../rewriting.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { RemediConfig } from './config.js'
import type { DenoisingStep } from './generate.js'
import { type GenerateOptions, generateConfig } from './generateConfig.js'

/** How a model generates behind prompts. */
export type GenerateSteps = (
  prompts: readonly { readonly prompt: string }[],
  options: GenerateOptions,
) => AsyncGenerator<DenoisingStep, void, undefined>

/**
 * What edits with these options. The confidence of a token is that of the step which filled it, by the confidence source;
 * passes are the network evaluations of the row.
 */
export function remediEditor(
  config: Pick<RemediConfig, 'maxLength' | 'blockLength' | 'mask' | 'endOfText'>,
  tokenizer: Tokenizer,
  options: GenerateOptions,
  generate: GenerateSteps,
): Editor {
  const { maxLength } = config
  const { batchRows, signal, blockLength = config.blockLength } = parseConfig(generateConfig, options, '')
  const { mask } = tokenizer.special
  // What is no token of the text, on the way to it, is a place that waits.
  const absent = new Set([config.mask ?? mask, ...(config.endOfText ?? [])])
  const answerLength = (tokens: number): number => blockLength * Math.ceil((tokens + 1) / blockLength)
  return {
    batchRows,
    signal,
    keepThreshold: 0.5,
    draft: (text) => writtenDraft(tokenizer, text, maxLength - blockLength),
    // The answer ends with an end of text, in whole blocks.
    fits: (source, target) => source.length + answerLength(target.length) <= maxLength,
    async *refine(drafts) {
      const rows = drafts.map(({ text, state }) => ({
        before: { text, tokens: state.tokens },
        ...{ round: 0, passes: 0, confidence: new Float32Array(0) },
      }))
      const prompts = drafts.map(({ text }) => ({ prompt: text }))
      for await (const { row: index, tokens: all, start, unmasked, remasked, confidence, result } of generate(
        prompts,
        options,
      )) {
        const row = rows[index]
        if (row === undefined) continue
        const tokens = result?.tokens ?? all.map((id) => (absent.has(id) ? mask : id))
        const sure = Float32Array.from(all, (_, place) => row.confidence[place] ?? 0)
        for (const place of unmasked) sure[place] = confidence[place - start] ?? 0
        for (const place of remasked) sure[place] = 0
        const fresh = Float32Array.from(unmasked, (place) => sure[place] ?? 0)
        const encoderPasses = result === undefined ? 1 : result.evaluations - row.passes
        const round = writtenRound(tokenizer, {
          ...{ row: index, round: ++row.round, before: row.before, tokens, fresh, encoderPasses },
          confidence: Float32Array.from(tokens, (id, place) => (id === mask ? 0 : (sure[place] ?? 0))),
          truncated: result?.stopReason === 'length',
          stopReason: result === undefined ? undefined : result.stopReason === 'length' ? 'exhausted' : 'ended',
        })
        row.passes += encoderPasses
        row.confidence = sure
        row.before = { text: round.text, tokens }
        yield [round]
      }
    },
    result: writtenResult,
  }
}
