// generateTokens: `merge-lm generate` with an autoregressive model: it writes on from left to right.

import type { GptAnswer } from '../baselines/gptGenerate.js'
import { MergeError } from '../errors.js'
import { editorOptions, openBaseline, shownAnswer } from './baselines.js'
import { type DenoiseFlags, refuseDenoising } from './generateBlocks.js'
import { holdInterrupts } from './interrupt.js'
import type { AnyModelFlags, RefineFlags } from './modelOptions.js'
import type { ShowFlags } from './textCommand.js'
import { inputTexts } from './textInput.js'

/** Continues the argument, or lines of stdin. */
export async function generateTokens(
  argument: string | undefined,
  flags: AnyModelFlags & RefineFlags & DenoiseFlags & ShowFlags,
): Promise<void> {
  refuseDenoising(flags)
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after these tokens.\n'))
  const { maxNewTokens } = flags
  const length = maxNewTokens === undefined ? {} : { maxNewTokens }
  const options = { ...editorOptions('gpt', flags), ...length, signal: interrupt.signal }
  await using model = await openBaseline('gpt', flags)
  if (model.family !== 'gpt') throw new MergeError('ERR_INTERNAL', `model: expected gpt, received ${model.family}`)
  for await (const inputs of inputTexts(argument, interrupt.signal)) {
    const answers = await model.generate(
      inputs.map(({ text }) => text),
      options,
    )
    for (const answer of answers) {
      const shown = flags.json === true ? JSON.stringify(record(answer)) : shownAnswer(answer.text, argument)
      process.stdout.write(`${shown}\n`)
    }
  }
}

// An answer as JSON: lists instead of typed arrays.
const record = ({ tokens, probability, ...rest }: GptAnswer) => ({
  ...rest,
  tokens: [...tokens],
  probability: [...probability],
})
