// generateTarget: `merge-lm generate` with a mask-predict model: a text of so many tokens, without a prompt.

import { MergeError } from '../errors.js'
import { editorOptions, openBaseline, shownAnswer } from './baselines.js'
import { type DenoiseFlags, refuseDenoising } from './generateBlocks.js'
import { holdInterrupts } from './interrupt.js'
import type { AnyModelFlags, RefineFlags } from './modelOptions.js'
import type { ShowFlags } from './textCommand.js'

/** Writes one text of `maxNewTokens` tokens. */
export async function generateTarget(
  argument: string | undefined,
  flags: AnyModelFlags & RefineFlags & DenoiseFlags & ShowFlags,
): Promise<void> {
  refuseDenoising(flags)
  const { maxNewTokens } = flags
  if (argument !== undefined) {
    throw new MergeError('ERR_INPUT', 'prompt: expected none with a model of family maskgit, which writes whole texts')
  }
  if (maxNewTokens === undefined) {
    throw new MergeError('ERR_CONFIG', 'max-new-tokens: expected the tokens of the text, received none')
  }
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after this round.\n'))
  const options = { ...editorOptions('maskgit', flags), signal: interrupt.signal }
  await using model = await openBaseline('maskgit', flags)
  const result = await model.generate(maxNewTokens, options)
  process.stdout.write(`${flags.json === true ? JSON.stringify(result) : shownAnswer(result.text, '')}\n`)
}
