// roundFamilies: models with random weights that edit in rounds, made to do what trained ones do: so many rounds, a fifth
// of the tokens deleted in each, as many put in.

import { LevtModel } from '../baselines/levt.js'
import { MaskGitModel } from '../baselines/maskgit.js'
import type { EditingModel } from '../editor.js'
import { MergeModel } from '../model.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { FamilyOptions, OpenFamily } from './family.js'
import { quantile } from './quantiles.js'

const deletedShare = 0.2

/** MERGE; the row always grows back to its length. */
export async function openMerge(
  options: FamilyOptions,
  encodings: 'one' | 'two',
  tokenizer: Tokenizer,
): Promise<OpenFamily> {
  const { size, rounds } = options
  const model = await MergeModel.create({ ...shapeOf(options), ...size.merge, encodings, tokenizer })
  // No row stops early, since no confidence is above 1.
  const fixed = { mode: 'edit', confidenceThreshold: 1, countSource: 'budget', targetLength: size.length } as const
  return inRounds(model, async (texts) => {
    return {
      ...fixed,
      maxRounds: rounds,
      keepThreshold: await thresholdOf(model, texts, { mode: 'edit', maxRounds: 1 }),
    }
  })
}

/** The Levenshtein Transformer; every gap takes placeholders until the row has its length. */
export async function openLevt(options: FamilyOptions, tokenizer: Tokenizer): Promise<OpenFamily> {
  const { localMix, ropeBase } = options.size.merge
  const mix = { ...(localMix === undefined ? {} : { localMix }), ...(ropeBase === undefined ? {} : { ropeBase }) }
  const model = await LevtModel.create({ ...shapeOf(options), ...mix, tokenizer })
  return inRounds(model, async (texts) => {
    const keepThreshold = await thresholdOf(model, texts, { maxRounds: 1 })
    return { maxRounds: options.rounds, confidenceThreshold: 1, emptyPenalty: 1e6, keepThreshold }
  })
}

/** Mask-predict; the target is as long as its source, give or take a token. */
export async function openMaskgit(options: FamilyOptions, tokenizer: Tokenizer): Promise<OpenFamily> {
  const model = await MaskGitModel.create({ ...shapeOf(options), lengthRange: 1, tokenizer })
  return inRounds(model, async () => ({ maxRounds: options.rounds }))
}

const shapeOf = ({ size: { layers, width, heads, feedForward, length }, dtype, threads }: FamilyOptions) => {
  return { layers, width, heads, feedForward, maxLength: length, dtype, threads }
}

// Options are chosen on the first drafts, which a call that warms up edits.
function inRounds<O extends object>(
  model: EditingModel<O> & Pick<MergeModel, 'memory' | 'dispose'>,
  chosen: (texts: readonly string[]) => Promise<O>,
): OpenFamily {
  let options: O | undefined
  return {
    memory: () => model.memory(),
    dispose: () => model.dispose(),
    async run(drafts) {
      const texts = drafts.map((tokens) => model.tokenizer.decode(tokens))
      options ??= await chosen(texts)
      const editor = model.editor(options)
      const sum = { rounds: 0, passes: 0, tokens: 0 }
      for await (const reports of editor.refine(texts.map((text) => editor.draft(text)))) {
        for (const { encoderPasses, tokens, stopReason } of reports) {
          sum.rounds++
          sum.passes += encoderPasses
          if (stopReason !== undefined) sum.tokens += tokens.length
        }
      }
      const { length: rows } = drafts
      return { tokens: sum.tokens, rounds: sum.rounds / rows, passes: sum.passes / rows }
    },
  }
}

// Untrained decisions are no decisions: the threshold is chosen so that the share is right.
async function thresholdOf<O extends object>(
  model: EditingModel<O>,
  texts: readonly string[],
  options: O,
): Promise<number> {
  const editor = model.editor(options)
  const keep: number[] = []
  for await (const reports of editor.refine(texts.map((text) => editor.draft(text)))) {
    for (const report of reports) keep.push(...report.keep)
  }
  return quantile(keep, deletedShare)
}
