// evalRemedi: what `merge-lm eval` measures of a RemeDi model, and how it is shown.

import { extname } from 'node:path'
import { MergeError } from '../errors.js'
import { parseConfig } from '../parseConfig.js'
import { type GenerateOptions, generateConfig } from '../remedi/generateConfig.js'
import { type RewardSpec, rewardSpec } from '../remedi/recipe.js'
import { rewardFrom } from '../remedi/rewards.js'
import { type Example, openDataset, split } from '../text/dataset.js'
import { evaluateRemedi, type RemediEvaluation } from '../training/evaluateRemedi.js'
import type { Figure } from '../training/figure.js'
import { openRemediModel } from './anyModel.js'
import { parseYaml, readAnyRunConfig } from './configFile.js'
import { type DenoiseFlags, generateOptions } from './generateBlocks.js'
import type { AnyModelFlags } from './modelOptions.js'
import { percent } from './progress.js'

/** What the command line says of it. */
export interface RemediEvalFlags extends AnyModelFlags, DenoiseFlags {
  readonly data: string
  readonly limit?: number
  readonly reward?: string
  readonly json?: boolean
}

/** Answers the data's sources and gives what was measured, as a text. */
export async function evaluateAnswers(flags: RemediEvalFlags, signal: AbortSignal): Promise<string> {
  if (flags.chat === true) throw new MergeError('ERR_CONFIG', 'chat: expected with generate, received with eval')
  const data = await dataOf(flags.data)
  const settings: GenerateOptions = { ...data.generate, ...generateOptions(flags), signal }
  parseConfig(generateConfig, settings, '')
  const spec =
    flags.reward === undefined ? data.reward : parseConfig(rewardSpec, parseYaml(flags.reward, 'reward'), 'reward')
  const reward = spec === undefined ? {} : { reward: await rewardFrom(spec) }
  await using model = await openRemediModel(flags)
  const found = await evaluateRemedi(model, data.examples.slice(0, flags.limit), { ...settings, ...reward })
  return flags.json === true ? JSON.stringify(found) : answersTable(found)
}

/** One line a figure; "-" where there was nothing to measure. */
export function answersTable(found: RemediEvaluation): string {
  const lines: [name: string, value: string, of: string][] = [
    ['exact answers', shown(found.exact, percent), `${found.exact.n} examples`],
    ['reward', shown(found.reward, decimals), `${found.reward.n} examples`],
    ['mean network evaluations', shown(found.meanEvaluations, decimals), `${found.meanEvaluations.n} examples`],
    ['remasks per block', shown(found.remasksPerBlock, decimals), `${found.remasksPerBlock.n} blocks`],
    ['tokens per second', decimals(found.tokensPerSecond), 'of answers'],
  ]
  for (const [source, { raw, scaled, temperature }] of Object.entries(found.calibration)) {
    const of = `${raw.auroc.n} tokens, ${raw.wrong} of them wrong`
    lines.push(
      [`${source}: AUROC of wrong`, shown(raw.auroc, decimals), of],
      [
        `${source}: ECE`,
        shown(raw.ece, decimals),
        `after temperature ${decimals(temperature)}: ${shown(scaled.ece, decimals)}`,
      ],
      [`${source}: Brier score`, shown(raw.brier, decimals), `after temperature: ${shown(scaled.brier, decimals)}`],
    )
  }
  const width = Math.max(...lines.map(([name]) => name.length))
  return [
    `${found.examples} examples`,
    ...lines.map(([name, value, of]) => `  ${name.padEnd(width)}  ${value.padStart(8)}  ${of}`),
  ].join('\n')
}

const decimals = (value: number): string => value.toFixed(3)

function shown({ value }: Figure, words: (value: number) => string): string {
  return value === null ? '-' : words(value)
}

interface AnswerData {
  readonly examples: readonly Example[]
  readonly generate?: object
  readonly reward?: RewardSpec | undefined
}

// A run's file says what is answered and how; any other file is the examples.
async function dataOf(path: string): Promise<AnswerData> {
  if (!['.json', '.yaml', '.yml'].includes(extname(path).toLowerCase())) {
    return { examples: await openDataset({ file: path }) }
  }
  const config = await readAnyRunConfig(path)
  if (config.family !== 'remedi') {
    throw new MergeError(
      'ERR_CONFIG',
      `data: expected the file of a RemeDi run, received one of family ${config.family}`,
    )
  }
  const { data, generate, reward } = config.evaluation
  if (data !== undefined) return { examples: await openDataset(data), generate, reward }
  const all = await openDataset(config.data)
  const held = config.heldOut === 0 ? all : split(all, { heldOut: config.heldOut, seed: config.recipe.seed }).heldOut
  return { examples: held, generate, reward }
}
