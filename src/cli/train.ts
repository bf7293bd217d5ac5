// merge-lm train: trains a model as a configuration file says, with live progress; Ctrl-C saves and stops.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { MergeError } from '../errors.js'
import { type FoundCheckpoint, resumableCheckpoint } from '../training/checkpoint.js'
import type { AnyRunConfig } from '../training/runConfig.js'
import { RunFolder } from '../training/runFolder.js'
import { type Assignment, parseAssignment, readAnyRunConfig } from './configFile.js'
import { holdInterrupts } from './interrupt.js'
import { numberOf } from './modelOptions.js'
import { openBaselineRun } from './openBaseline.js'
import { openRemediRun, openRun, type RunStart } from './openRun.js'
import { count, duration, showProgress } from './progress.js'
import { checkConfig, checkData, clearRun, isFinished, writeRecord } from './runRecord.js'
import { type AnyRun, trainRun } from './trainRun.js'

interface TrainFlags {
  readonly minutes?: number
  readonly steps?: number
  readonly seed?: number
  readonly folder?: string
  readonly threads?: number
  readonly set?: readonly Assignment[]
  readonly resume?: boolean
  readonly allowNondeterministic?: boolean
  readonly overwrite?: boolean
  readonly json?: boolean
}

/** Adds the command. */
export function addTrain(program: Command): void {
  program
    .command('train')
    .summary('train a model from a configuration file')
    .description(
      'Trains a model. The file says everything: model, tokenizer, data, corruption, recipe, folder. The folder gets ' +
        'metrics.jsonl, tensorboard/, report.html, checkpoints/step-N and at the end model/. The first Ctrl-C saves and stops, the second only ' +
        'stops; --resume goes on from there, or from the newest checkpoint after a crash. The same steps on the same ' +
        'machine give the same bits, stopped or not; a run by minutes follows the clock, so there no two are equal.',
    )
    .argument('<config>', 'a .json, .yaml or .yml file')
    .option('--minutes <n>', 'wall time of the run (recipe.minutes)', numberOf)
    .option('--steps <n>', 'optimizer steps of the run (recipe.steps)', numberOf)
    .option('--seed <n>', 'seed of everything random (recipe.seed)', numberOf)
    .option('--folder <folder>', 'where the run goes (folder)')
    .option('--set <key=value>', 'any other value, such as recipe.losses.gate=0.2; may be repeated', parseAssignment)
    .option('--threads <n>', 'threads of the engine (default: as many as there are cores)', numberOf)
    .option('--resume', 'go on with the run that the folder holds, from its newest checkpoint that verifies')
    .option('--allow-nondeterministic', 'with --resume: go on even where threads, device or build cost equal bits')
    .option('--overwrite', 'remove the run that the folder holds')
    .option('--json', 'one JSON line a step instead of the progress line')
    .addHelpText('after', examples)
    .action(train)
}

const examples = `
Examples:
  $ merge-lm train examples/quickstart/config.yaml --minutes 2
  $ merge-lm train examples/quickstart/config.yaml --resume
  $ merge-lm train run.json --set recipe.learningRate=1e-3 --set model.layers=4 --folder runs/deep
  $ merge-lm train run.yaml --json > steps.jsonl

A small run.yaml:
  data: { file: letters.txt, unit: sentence, maxLength: 200 }
  corruption: cleanUp
  recipe: { minutes: 10 }
  folder: runs/letters`

async function train(path: string, flags: TrainFlags): Promise<void> {
  checkFlags(flags)
  const config = await readAnyRunConfig(path, assignmentsOf(flags))
  await using folder = await RunFolder.open(config.folder)
  const from = await prepareFolder(folder, config, flags)
  const progress = showProgress({
    stream: flags.json === true ? process.stdout : process.stderr,
    style: flags.json === true ? 'json' : undefined,
  })
  using interrupt = holdInterrupts(() => process.stderr.write('\nSaving and stopping; again to stop without saving.\n'))
  const start = {
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(from === undefined ? {} : { from }),
    allowNondeterministic: flags.allowNondeterministic === true,
    warn,
  }
  const run = await openAnyRun(config, start)
  await using model = run.model
  if (from !== undefined) await checkData(config.folder, run.print)
  await writeRecord(config, run.print)
  progress.note(
    `${count(model.parameterCount)} parameters, ${run.train.length} examples, ${run.heldOut.length} held out, ` +
      `folder ${config.folder}${from === undefined ? '' : `, after step ${run.trainer.step}`}`,
  )
  for (const warning of run.trainer.warnings) warn(warning)
  const last = await trainRun(run, { folder, progress, signal: interrupt.signal })
  if (last === undefined) progress.note(`Nothing was left to do after step ${run.trainer.step}.`)
  if (last === undefined || flags.json === true) return
  const hint =
    config.family === 'merge' ? ` Try:\n  merge-lm edit -m ${join(config.folder, 'model')} --trace "your text"` : ''
  const done = `${last.step} steps in ${duration(last.seconds)}. The model is in ${join(config.folder, 'model')}.`
  process.stderr.write(`${done}${hint}\n`)
}

function openAnyRun(config: AnyRunConfig, start: RunStart): Promise<AnyRun> {
  if (config.family === 'merge') return openRun(config, start)
  return config.family === 'remedi' ? openRemediRun(config, start) : openBaselineRun(config, start)
}

function assignmentsOf({ minutes, steps, seed, folder, set = [] }: TrainFlags): Assignment[] {
  const given: Assignment[] = [
    ['recipe.minutes', minutes],
    ['recipe.steps', steps],
    ['recipe.seed', seed],
    ['folder', folder],
  ]
  return [...set, ...given.filter(([, value]) => value !== undefined)]
}

function checkFlags({ resume = false, overwrite = false, allowNondeterministic = false }: TrainFlags): void {
  if (resume && overwrite) throw new MergeError('ERR_CONFIG', 'resume: expected --resume or --overwrite, received both')
  if (allowNondeterministic && !resume)
    throw new MergeError('ERR_CONFIG', 'allow-nondeterministic: expected with --resume, received alone')
}

// What the run goes on from; undefined for one that begins.
async function prepareFolder(
  folder: RunFolder,
  config: AnyRunConfig,
  { overwrite = false, resume = false }: TrainFlags,
): Promise<FoundCheckpoint | undefined> {
  if (!overwrite && !resume && (await folder.holdsRun())) {
    throw new MergeError(
      'ERR_CONFIG',
      `folder: expected a new folder, received ${config.folder}, which holds a run; choose another or add --resume or --overwrite`,
    )
  }
  if (!resume) {
    if (overwrite) await clearRun(config.folder)
    return undefined
  }
  const from = await resumableCheckpoint(folder.checkpoints)
  if (from !== undefined || (await folder.holdsRun())) await checkConfig(config)
  if (from !== undefined) return from
  if (await isFinished(config.folder)) {
    throw new MergeError(
      'ERR_CONFIG',
      `folder: expected a run with a checkpoint, received ${config.folder}, which has a model and none (recipe.saveEvery)`,
    )
  }
  // A run that was killed before its first checkpoint lost no more than that.
  warn(`${config.folder} has no checkpoint yet; starting at step 0`)
  await rm(join(config.folder, 'metrics.jsonl'), { force: true })
  return undefined
}

function warn(message: string): void {
  process.stderr.write(`merge-lm: warning: ${message}\n`)
}
