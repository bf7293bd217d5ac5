// The quality suite: every family trained with one budget on the same data, beside rules that need no network.

import { MergeError } from '../errors.js'
import { randomFrom } from '../random.js'
import { trainCharacterTokenizer } from '../text/characterTokenizer.js'
import { corruptionFrom } from '../text/corruptionSpec.js'
import { openDataset, split } from '../text/dataset.js'
import { type BenchResult, resultOf } from './benchReport.js'
import { capitalAndFullStop, trainRules } from './cleanUpRules.js'
import { type Edited, editors } from './editors.js'
import { rounded } from './quantiles.js'
import type { BenchSettings } from './suite.js'
import { textScores } from './textScores.js'

/** Seed of the noise: the same for every family, and every run. */
const noiseSeed = 20_160_112
/** Held-out texts at most. */
const mostTexts = 500

interface Pair {
  readonly source: string
  readonly target: string
}

/** Runs the suite. The shape is the configuration's, whatever sizes were asked for. */
export async function* qualitySuite(settings: BenchSettings): AsyncGenerator<BenchResult, void, undefined> {
  const { say, budget, signal, threads } = settings
  const config = await settings.readConfig()
  if (config.tokenizer.kind !== 'character') {
    throw new MergeError('ERR_CONFIG', `tokenizer.kind: expected character, received ${config.tokenizer.kind}`)
  }
  const { train, heldOut } = split(await openDataset(config.data), {
    heldOut: config.heldOut,
    seed: config.recipe.seed,
  })
  const corruption = await corruptionFrom(config.corruption)
  const targets = train.map(({ target }) => target)
  const { caseShift, minFrequency } = config.tokenizer
  const tokenizer = trainCharacterTokenizer(targets, { caseShift, minFrequency })
  const shuffled = randomFrom(config.recipe.seed, 0, 0, 'held out').shuffle(heldOut).slice(0, mostTexts)
  const pairs = shuffled.map(({ source, target }, row) => {
    return { target, source: source ?? corruption(target, randomFrom(noiseSeed, 0, row, 'evaluation')) }
  })
  if (pairs.length === 0) throw new MergeError('ERR_CONFIG', 'heldOut: expected examples to measure on, received 0')
  const length = 'steps' in budget ? `${budget.steps} steps` : `${budget.minutes} minutes`
  const base = { suite: 'quality', size: 'small', dtype: 'float32', threads } as const

  for (const { name, task, train: learn } of editors) {
    signal.throwIfAborted()
    say(`quality: ${name}, ${length}`)
    const editor = await learn({ config, tokenizer, train, corruption, settings })
    try {
      const before = performance.now()
      const results = await editor.edit(pairs.map(({ source }) => source))
      const seconds = (performance.now() - before) / 1000
      const again = await editor.edit(pairs.map(({ target }) => target))
      const tokens = pairs.reduce((sum, { source }) => sum + tokenizer.encode(source).length, 0)
      const { steps, seconds: trainingSeconds, parameters } = editor.training
      yield resultOf({
        ...base,
        case: `${task}, after ${length} of training`,
        family: name,
        batch: 32,
        tokensPerSecond: rounded(tokens / seconds),
        rounds: meanOf(results, 'rounds'),
        passes: meanOf(results, 'passes'),
        figures: {
          ...(await scores(pairs, results, again)),
          steps,
          trainingSeconds: rounded(trainingSeconds),
          parameters,
        },
      })
    } finally {
      await editor.dispose()
    }
  }

  say('quality: rules')
  const rules = [
    ['do nothing', (text: string) => text],
    ['capital and full stop', capitalAndFullStop],
    ['rules with four tables', trainRules(targets)],
  ] as const
  for (const [name, repair] of rules) {
    const results = pairs.map(({ source }) => ({ text: repair(source) }))
    const again = pairs.map(({ target }) => ({ text: repair(target) }))
    yield resultOf({
      ...base,
      dtype: null,
      threads: null,
      case: 'no network',
      family: name,
      figures: { ...(await scores(pairs, results, again)) },
    })
  }
}

async function scores(pairs: readonly Pair[], results: readonly Edited[], again: readonly Edited[]) {
  return textScores(
    pairs.map(({ source, target }, row) => {
      return { source, target, result: results[row]?.text ?? '', again: again[row]?.text ?? '' }
    }),
  )
}

function meanOf(results: readonly Edited[], name: 'rounds' | 'passes'): number | null {
  const counts = results.flatMap((result) => result[name] ?? [])
  return counts.length === 0 ? null : rounded(counts.reduce((sum, count) => sum + count, 0) / counts.length)
}
