// runSamples: held-out texts on their way through a model that is being trained.

import type { MergeModel } from '../model.js'
import { randomFrom } from '../random.js'
import type { Sample } from '../training/sample.js'
import type { OpenRun } from './openRun.js'
import { tracedEdit } from './tracedEdit.js'

/** Texts that are shown with each evaluation. */
const mostSamples = 4

/** What becomes of the first drafts that the evaluation measures; texts too long for a row are left out. */
export async function runSamples(
  model: MergeModel,
  { heldOut, corruption }: Pick<OpenRun, 'heldOut' | 'corruption'>,
): Promise<Sample[]> {
  const samples: Sample[] = []
  for (const [row, { source: own, target }] of heldOut.entries()) {
    if (samples.length >= mostSamples) break
    // The same draft as in the evaluation.
    const draft = own ?? corruption?.(target, randomFrom(0, 0, row, 'evaluation'))
    if (draft === undefined || model.tokenizer.encode(draft).length > model.config.maxLength) continue
    const { result, lines } = await tracedEdit(model, draft)
    samples.push({ draft, result: result.text, target, lines })
  }
  return samples
}
