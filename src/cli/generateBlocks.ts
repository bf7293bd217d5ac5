// generateBlocks: `merge-lm generate` with a RemeDi model: answers block by block, or every denoising step of them.

import type { Command } from 'commander'
import { parseConfig } from '../parseConfig.js'
import type { Answer } from '../remedi/answer.js'
import type { DenoisingStep } from '../remedi/generate.js'
import { generateConfig } from '../remedi/generateConfig.js'
import type { RemediModel } from '../remedi/model.js'
import { openRemediModel, refuse } from './anyModel.js'
import { holdInterrupts } from './interrupt.js'
import { type AnyModelFlags, numberOf } from './modelOptions.js'
import { paint, visible, wantsColour } from './terminal.js'
import type { ShowFlags } from './textCommand.js'
import { inputTexts } from './textInput.js'

/** How answers are denoised; absent flags keep the defaults. */
export interface DenoiseFlags {
  readonly weightDtype?: string
  readonly chat?: boolean
  readonly steps?: number
  readonly maxNewTokens?: number
  readonly blockLength?: number
  readonly sampler?: string
  readonly confidenceSource?: string
  readonly remaskThreshold?: number
  readonly extraCorrectionSteps?: number
  readonly maxRemasksPerPosition?: number
  readonly orderTemperature?: number
}

interface SharedFlags {
  readonly fillThreshold?: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly seed?: number
}

/** The flags that only a RemeDi model takes. */
export const denoiseFlagNames = [
  'weightDtype',
  'chat',
  'steps',
  'maxNewTokens',
  'blockLength',
  'sampler',
  'confidenceSource',
  'remaskThreshold',
  'extraCorrectionSteps',
  'maxRemasksPerPosition',
  'orderTemperature',
] as const satisfies readonly (keyof DenoiseFlags)[]

/** Refuses those for a baseline, which has no denoising steps; how it is held and how much it writes it takes, too. */
export function refuseDenoising(flags: DenoiseFlags & ShowFlags): void {
  const shared: readonly string[] = ['weightDtype', 'maxNewTokens']
  refuse(flags, ['trace', ...denoiseFlagNames.filter((name) => !shared.includes(name))], 'remedi')
}

/** Adds the flags. */
export function takesDenoising(command: Command): Command {
  return command
    .option('--weight-dtype <type>', 'RemeDi: float32 or bfloat16, how matrices are held (default: as saved)')
    .option('--chat', 'RemeDi: the prompt is a message, put into the chat template')
    .option('--steps <n>', 'RemeDi: denoising steps a block (default: 32)', numberOf)
    .option(
      '--max-new-tokens <n>',
      'RemeDi, GPT: most tokens of an answer (default: at most 1024); MaskGIT: all of them',
      numberOf,
    )
    .option('--block-length <n>', "RemeDi: tokens of a block (default: the model's)", numberOf)
    .option('--sampler <name>', 'RemeDi: fixed, threshold, llada or remdm (default: fixed)')
    .option('--confidence-source <name>', 'RemeDi: ups, probability, logit, margin, entropy or random (default: ups)')
    .option('--remask-threshold <share>', 'RemeDi: a visible token less sure is remasked (default: 0.5)', numberOf)
    .option('--extra-correction-steps <n>', 'RemeDi: steps behind the last (default: 0)', numberOf)
    .option('--max-remasks-per-position <n>', 'RemeDi: a position that was remasked so often stays', numberOf)
    .option('--order-temperature <t>', 'RemeDi: of the order of positions (default: 0, the surest first)', numberOf)
}

/** The options among the flags; absent ones keep the defaults. */
export function generateOptions(flags: DenoiseFlags & SharedFlags): Readonly<Record<string, unknown>> {
  const { steps, maxNewTokens, blockLength, sampler, confidenceSource, fillThreshold, remaskThreshold } = flags
  const { extraCorrectionSteps, maxRemasksPerPosition, orderTemperature, temperature, topK, topP, seed } = flags
  const named = { steps, maxNewTokens, blockLength, sampler, confidenceSource, fillThreshold, remaskThreshold }
  const others = { extraCorrectionSteps, maxRemasksPerPosition, orderTemperature, temperature, topK, topP, seed }
  return Object.fromEntries(Object.entries({ ...named, ...others }).filter(([, value]) => value !== undefined))
}

/** Answers the argument, or lines of stdin. */
export async function generateBlocks(
  argument: string | undefined,
  flags: AnyModelFlags & DenoiseFlags & SharedFlags & ShowFlags,
): Promise<void> {
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after this step.\n'))
  const settings = parseConfig(generateConfig, { ...generateOptions(flags), signal: interrupt.signal }, '')
  await using model = await openRemediModel(flags)
  for await (const inputs of inputTexts(argument, interrupt.signal)) {
    const prompts = inputs.map(({ text }) =>
      flags.chat === true ? { messages: [{ role: 'user', content: text }] } : { prompt: text },
    )
    const answers = new Map<number, Answer>()
    for await (const step of model.generate(prompts, settings)) {
      if (flags.trace === true && flags.json !== true) process.stdout.write(`${traceLine(step, model)}\n`)
      if (step.result !== undefined) answers.set(step.row, step.result)
    }
    for (const [, answer] of [...answers].sort(([a], [b]) => a - b)) {
      const record = { ...answer, tokens: [...answer.tokens] }
      const isOne = argument !== undefined && argument !== '-'
      const text = isOne ? answer.text : answer.text.replace(/\r?\n/g, ' ')
      const safe = process.stdout.isTTY ? text.split('\n').map(visible).join('\n') : text
      process.stdout.write(`${flags.json === true ? JSON.stringify(record) : safe}\n`)
    }
  }
}

// One line a step: the block with its masks, new tokens bold, and how many were remasked.
function traceLine(step: DenoisingStep, { tokenizer, config }: RemediModel): string {
  const pieces = tokenizer.pieces(step.tokens)
  const fresh = new Set(step.unmasked)
  const colour = wantsColour(process.stdout)
  const block = pieces.slice(step.start).map((piece, place) => {
    const at = step.start + place
    if (step.tokens[at] === config.mask) return '_'
    const shown = visible(piece.replace(/\n/g, ' '))
    return fresh.has(at) && colour ? paint(['bold'], shown) : shown
  })
  const counts = `+${step.unmasked.length} -${step.remasked.length} _${step.masked.length}`
  return `${step.row}.${step.block}.${step.step} ${counts.padEnd(12)} ${block.join('')}`
}
