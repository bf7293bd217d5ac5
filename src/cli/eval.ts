// merge-lm eval: measures a model on held-out examples against the edit oracle.

import { extname } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { batchConfig } from '../config.js'
import { MergeError } from '../errors.js'
import { parseConfig } from '../parseConfig.js'
import type { Corruption } from '../text/corruption.js'
import { corruptionFrom, corruptionSpec } from '../text/corruptionSpec.js'
import { type Example, openDataset, split } from '../text/dataset.js'
import { evaluateModel } from '../training/evaluate.js'
import { type FolderKind, folderKind, refuse } from './anyModel.js'
import { editorOptions, isBaseline, openBaseline } from './baselines.js'
import { parseYaml, readAnyRunConfig } from './configFile.js'
import { evaluateAnswers } from './evalRemedi.js'
import { evaluationTable } from './evaluationTable.js'
import { type DenoiseFlags, denoiseFlagNames, takesDenoising } from './generateBlocks.js'
import { holdInterrupts } from './interrupt.js'
import {
  loopFlagNames,
  type ModelFlags,
  numberOf,
  openModel,
  type RefineFlags,
  refineOptions,
  takesModel,
  takesRefinement,
} from './modelOptions.js'

interface EvalFlags extends ModelFlags, RefineFlags, DenoiseFlags {
  readonly data: string
  readonly reward?: string
  readonly corruption?: string
  readonly corruptionSeed?: number
  readonly mode?: string
  readonly limit?: number
  readonly json?: boolean
}

/** Adds the command. */
export function addEval(program: Command): void {
  const command = program
    .command('eval')
    .summary('measure a model on held-out examples')
    .description(
      'Edits drafts and finished texts and measures: exact matches, precision, recall and F0.5 of the edits by tokens ' +
        "and by words, over-correction, the deleter, the filler, rounds, and whether the fills' confidence can be trusted. " +
        'A RemeDi model answers sources: exact answers, reward, network evaluations, remasks per block, and whether its ' +
        'confidence finds wrong tokens.',
    )
    .requiredOption(
      '--data <file>',
      "a run's configuration (.json, .yaml, .yml): what it holds out, or all where it holds out nothing; or a text, " +
        '.jsonl or .parquet file',
    )
    .option('--corruption <spec>', "makes drafts where the data have none (default: the configuration's)")
    .option('--corruption-seed <n>', 'seed of these drafts (default: 0)', numberOf)
    .option('--mode <mode>', 'auto, edit or gen (default: auto)')
    .option('--limit <n>', 'only the first examples', numberOf)
  takesDenoising(takesRefinement(takesModel(command)))
    .option('--reward <spec>', 'RemeDi: what a completion is worth, as in a recipe, such as numeric')
    .option('--json', 'one JSON object: every figure as { value, n }, counts, and the bins of the calibration')
    .addHelpText('after', examples)
    .action(evaluate)
}

const examples = `
Examples:
  $ merge-lm eval -m runs/quickstart/model --data examples/quickstart/config.yaml --limit 500
  $ merge-lm eval -m runs/quickstart/model --data letters.txt --corruption "[loseCase, { dropSpaces: 0.05 }]"
  $ merge-lm eval -m runs/quickstart/model --data pairs.jsonl --mode edit --json > figures.json
  $ merge-lm eval -m runs/sudoku/sft/model --data examples/sudoku/sft.yaml --steps 8 --confidence-source ups`

async function evaluate(flags: EvalFlags): Promise<void> {
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after this round.\n'))
  const { limit, corruptionSeed } = parseConfig(evalFlags, flags, '')
  const kind = await folderKind(flags.model)
  if (kind === 'remedi' || kind === 'pretrained') {
    refuse(flags, [...mergeFlagNames], 'merge')
    process.stdout.write(`${await evaluateAnswers(flags, interrupt.signal)}\n`)
    return
  }
  refuse(flags, ['reward', ...denoiseFlagNames], 'remedi')
  // Options are checked before anything is read.
  const settings = editingOptions(kind, flags, interrupt.signal)
  const asked = flags.corruption === undefined ? undefined : await corruptionOf(flags.corruption)
  const data = await dataOf(flags.data, limit)
  const corruption = asked ?? data.corruption
  checkDrafts(data.examples, { asked, corruption })
  await using model = await (isBaseline(kind) ? openBaseline(kind, flags) : openModel(flags))
  const evaluation = await evaluateModel<object>(model, data.examples, {
    ...settings,
    corruptionSeed,
    ...(corruption === undefined ? {} : { corruption }),
  })
  const text = flags.json === true ? JSON.stringify(evaluation) : evaluationTable(evaluation)
  process.stdout.write(`${text}\n`)
}

function editingOptions(kind: FolderKind, flags: EvalFlags, signal: AbortSignal): object {
  if (isBaseline(kind)) {
    refuse(flags, ['mode'], 'merge')
    return { ...editorOptions(kind, flags), signal }
  }
  const mode = flags.mode === undefined ? {} : { mode: flags.mode }
  return parseConfig(batchConfig, { ...refineOptions(flags), ...mode, signal }, '')
}

const mergeFlagNames = [
  'mode',
  ...loopFlagNames,
  'corruption',
  'corruptionSeed',
] as const satisfies readonly (keyof EvalFlags)[]

const evalFlags = z.object({
  limit: z.int('expected a whole number >= 1').min(1, 'expected a whole number >= 1').optional(),
  corruptionSeed: z.int('expected a whole number').default(0),
})

interface EvalData {
  readonly examples: readonly Example[]
  /** Absent where a configuration says `untouched`, and for plain data. */
  readonly corruption?: Corruption
}

async function dataOf(path: string, limit: number | undefined): Promise<EvalData> {
  if (!['.json', '.yaml', '.yml'].includes(extname(path).toLowerCase())) {
    return { examples: await openDataset({ file: path, ...(limit === undefined ? {} : { limit }) }) }
  }
  const { data, heldOut: count, recipe, corruption } = await readAnyRunConfig(path)
  const all = await openDataset(data)
  const held = count === 0 ? all : split(all, { heldOut: count, seed: recipe.seed }).heldOut
  const examples = held.slice(0, limit)
  return corruption === 'untouched' ? { examples } : { examples, corruption: await corruptionFrom(corruption) }
}

async function corruptionOf(flag: string): Promise<Corruption> {
  return corruptionFrom(parseConfig(corruptionSpec, parseYaml(flag, 'corruption'), 'corruption'))
}

interface Drafting {
  readonly asked: Corruption | undefined
  readonly corruption: Corruption | undefined
}

// A flag that would change nothing is refused, and so are examples that no draft can be made of.
function checkDrafts(examples: readonly Example[], { asked, corruption }: Drafting): void {
  const bare = examples.findIndex(({ source }) => source === undefined)
  if (bare < 0 && asked !== undefined) {
    throw new MergeError('ERR_CONFIG', 'corruption: expected data without drafts of their own, received a draft each')
  }
  if (bare >= 0 && corruption === undefined) {
    throw new MergeError(
      'ERR_CONFIG',
      `corruption: expected one, since example ${bare} has no draft of its own, received none; try --corruption cleanUp`,
    )
  }
}
