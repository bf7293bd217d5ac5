// evaluateRemedi: how well a RemeDi model answers held-out prompts, at what cost, and whether its confidence can be
// trusted. No peer reports the last.

import { MergeError } from '../errors.js'
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
import { sessionKey } from './task.js'
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
   * Whether confidence tells wrong tokens from right ones, on the model's own answers, read again when each block was
   * finished; a token is wrong where it is not the target's at the same place. By source: `ups` is the trained confidence,
   * `probability` that of the token stream. n: tokens.
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
  parseConfig(generateConfig, generating, '')
  const prompts = examples.map(({ source }, index) => {
    if (source === undefined) throw new MergeError('ERR_INPUT', `example ${index}: expected a source, received none`)
    return { prompt: source, key: index }
  })
  const startedAt = performance.now()
  const answers = await model.complete(prompts, generating)
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
      ups: await calibrationBy('ups', { model, examples, answers }),
      probability: await calibrationBy('probability', { model, examples, answers }),
    },
  }
}

interface Answered {
  readonly model: RemediModel
  readonly examples: readonly Example[]
  readonly answers: readonly Answer[]
}

async function calibrationBy(
  source: 'ups' | 'probability',
  { model, examples, answers }: Answered,
): Promise<ScaledCalibration> {
  const { tokenizer } = model
  const { blockLength } = model.config
  const eos = model.config.endOfText?.[0] ?? tokenizer.special.eos
  const padding = { blockLength, eos, atLeastOne: false }
  const rows = answers.map(({ tokens }, index) => ({
    prompt: tokenizer.encode(examples[index]?.source ?? ''),
    answer: padAnswer(tokens, padding),
    target: padAnswer(tokenizer.encode(examples[index]?.target ?? ''), padding),
  }))
  const context = { session: model[sessionKey], blockLength, vocabulary: tokenizer.vocabularySize }
  const fills: JudgedFill[] = []
  for (let first = 0; first < rows.length; first += batchRows) {
    const batch = rows.slice(first, first + batchRows)
    const confidences = await reread(context, batch, source)
    batch.forEach(({ answer, target }, row) => {
      answer.forEach((token, at) => {
        fills.push({ confidence: confidences[row]?.[at] ?? 0, isRight: token === (target[at] ?? eos) })
      })
    })
  }
  return scaledCalibration(fills)
}

const batchRows = 64

function sumOf<T>(items: readonly T[], numberOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + numberOf(item), 0)
}
