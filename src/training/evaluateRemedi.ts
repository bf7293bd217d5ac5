// evaluateRemedi: how well a RemeDi model answers held-out prompts, at what cost, and whether its confidence can be
// trusted. No peer reports the last.

import { MergeError } from '../errors.js'
import { sessionKey } from '../openModel.js'
import { parseConfig } from '../parseConfig.js'
import type { Answer } from '../remedi/answer.js'
import { type GenerateOptions, generateConfig } from '../remedi/generateConfig.js'
import type { RemediModel } from '../remedi/model.js'
import { padAnswer } from '../remedi/noise.js'
import { reread } from '../remedi/reread.js'
import type { Reward } from '../remedi/rewards.js'
import type { Example } from '../text/example.js'
import type { JudgedFill } from './calibration.js'
import { type Figure, figureOf } from './figure.js'
import { type ScaledCalibration, scaledCalibration } from './temperature.js'

/** How it is measured. */
export interface RemediEvaluateOptions extends GenerateOptions {
  /** What a completion is worth, beside being the target itself. */
  readonly reward?: Reward<Example>
}

/** What was measured. */
export interface RemediEvaluation {
  readonly examples: number
  /** Share of answers that are the target; n: examples, as of all but the last. */
  readonly exact: Figure
  /** Mean reward; `null` without one. */
  readonly reward: Figure
  /** Passes of the network for each answer: its prompt, each step, each finished block that joined the cache. */
  readonly meanEvaluations: Figure
  /** Visible tokens that became masks again, for each block; n: blocks. */
  readonly remasksPerBlock: Figure
  /** Tokens of answers per second, all rows of a batch together. */
  readonly tokensPerSecond: number
  /**
   * Whether confidence tells wrong tokens from right ones, on the model's own tokens as they stand between two denoising
   * steps, one such moment of each block; a token is wrong where it is not the target's at the same place. By source:
   * `ups` is the trained confidence, `probability` that of the token stream. n: visible tokens.
   */
  readonly calibration: Readonly<Record<'ups' | 'probability', ScaledCalibration>>
}

/**
 * Answers every example's source and compares with its target.
 *
 * @example
 * const { exact, calibration } = await evaluateRemedi(model, heldOut, { steps: 8 })
 * console.log(exact.value, calibration.ups.raw.auroc.value)
 */
export async function evaluateRemedi(
  model: RemediModel,
  examples: readonly Example[],
  options: RemediEvaluateOptions = {},
): Promise<RemediEvaluation> {
  const { reward, ...generating } = options
  const { steps } = parseConfig(generateConfig, generating, '')
  const prompts = examples.map(({ source, condition }, index) => {
    if (source === undefined) throw new MergeError('ERR_INPUT', `example ${index}: expected a source, received none`)
    if (condition !== undefined)
      throw new MergeError('ERR_INPUT', `example ${index}: expected no condition, received one`)
    return { prompt: source, key: index }
  })
  const answers: Answer[] = []
  const moments: Moment[] = []
  const startedAt = performance.now()
  for await (const step of model.generate(prompts, generating)) {
    if (step.result !== undefined) answers[step.row] = step.result
    // Another step of each block, by its place.
    if (step.masked.length === 0 || step.step !== 1 + ((step.row + step.block) % Math.max(1, steps - 1))) continue
    moments.push({ row: step.row, tokens: step.tokens.slice() })
  }
  const seconds = (performance.now() - startedAt) / 1000
  const rewards = await Promise.all(
    examples.map(async (example, index) => reward?.(example.source ?? '', answers[index]?.answer ?? '', example) ?? 0),
  )
  const blocks = answers.flatMap((answer) => answer.blocks)
  const count = answers.length
  return {
    examples: count,
    exact: figureOf(answers.filter(({ answer }, index) => answer === examples[index]?.target).length, count),
    reward:
      reward === undefined
        ? { value: null, n: 0 }
        : figureOf(
            sumOf(rewards, (value) => value),
            count,
          ),
    meanEvaluations: figureOf(
      sumOf(answers, ({ evaluations }) => evaluations),
      count,
    ),
    remasksPerBlock: figureOf(
      sumOf(blocks, ({ remasks }) => remasks),
      blocks.length,
    ),
    tokensPerSecond: sumOf(answers, ({ tokens }) => tokens.length) / seconds,
    calibration: {
      ups: await calibrationBy('ups', { model, examples, moments }),
      probability: await calibrationBy('probability', { model, examples, moments }),
    },
  }
}

// An answer on its way: finished blocks and one that still has masks.
interface Moment {
  readonly row: number
  readonly tokens: Int32Array
}

interface Judging {
  readonly model: RemediModel
  readonly examples: readonly Example[]
  readonly moments: readonly Moment[]
}

async function calibrationBy(
  source: 'ups' | 'probability',
  { model, examples, moments }: Judging,
): Promise<ScaledCalibration> {
  const { tokenizer } = model
  const { blockLength } = model.config
  const mask = model.config.mask ?? tokenizer.special.mask
  const eos = model.config.endOfText?.[0] ?? tokenizer.special.eos
  const padding = { blockLength, eos, atLeastOne: false }
  const context = { session: model[sessionKey], blockLength, vocabulary: tokenizer.vocabularySize }
  const fills: JudgedFill[] = []
  for (let first = 0; first < moments.length; first += batchRows) {
    const batch = moments.slice(first, first + batchRows).map(({ row, tokens }) => ({
      prompt: tokenizer.encode(examples[row]?.source ?? ''),
      answer: padAnswer(tokens, padding),
      target: padAnswer(tokenizer.encode(examples[row]?.target ?? ''), padding),
    }))
    const confidences = await reread(context, batch, source)
    batch.forEach(({ answer, target }, row) => {
      // The finished blocks before the last one were judged while they were made.
      for (let at = answer.length - blockLength; at < answer.length; at++) {
        const token = answer[at]
        if (token === undefined || token === mask) continue
        fills.push({ confidence: confidences[row]?.[at] ?? 0, isRight: token === (target[at] ?? eos) })
      }
    })
  }
  return scaledCalibration(fills)
}

const batchRows = 64

function sumOf<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + numberOf(item), 0)
}
