// merge-lm train: trains a model as a configuration file says, with live progress; Ctrl-C saves and stops.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { isMergeError, MergeError } from '../errors.js'
import type { RunConfig } from '../training/runConfig.js'
import type { StepReport } from '../training/trainer.js'
import { type Assignment, parseAssignment, readRunConfig } from './configFile.js'
import { holdInterrupts } from './interrupt.js'
import { numberOf } from './modelOptions.js'
import { clearRun, evaluateRun, type OpenRun, openRun } from './openRun.js'
import { count, duration, type Progress, showProgress } from './progress.js'

interface TrainFlags {
  readonly minutes?: number
  readonly steps?: number
  readonly seed?: number
  readonly folder?: string
  readonly threads?: number
  readonly set?: readonly Assignment[]
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
        'metrics.jsonl, checkpoints/step-N and at the end model/. The first Ctrl-C saves and stops, the second only stops.',
    )
    .argument('<config>', 'a .json, .yaml or .yml file')
    .option('--minutes <n>', 'wall time of the run (recipe.minutes)', numberOf)
    .option('--steps <n>', 'optimizer steps of the run (recipe.steps)', numberOf)
    .option('--seed <n>', 'seed of everything random (recipe.seed)', numberOf)
    .option('--folder <folder>', 'where the run goes (folder)')
    .option('--set <key=value>', 'any other value, such as recipe.losses.gate=0.2; may be repeated', parseAssignment)
    .option('--threads <n>', 'threads of the engine (default: as many as there are cores)', numberOf)
    .option('--overwrite', 'remove the run that the folder holds')
    .option('--json', 'one JSON line a step instead of the progress line')
    .addHelpText('after', examples)
    .action(train)
}

const examples = `
Examples:
  $ merge-lm train examples/quickstart/config.yaml --minutes 2
  $ merge-lm train run.json --set recipe.learningRate=1e-3 --set model.layers=4 --folder runs/deep
  $ merge-lm train run.yaml --json > steps.jsonl

A small run.yaml:
  data: { file: letters.txt, unit: sentence, maxLength: 200 }
  corruption: cleanUp
  recipe: { minutes: 10 }
  folder: runs/letters`

async function train(path: string, flags: TrainFlags): Promise<void> {
  const config = await readRunConfig(path, assignmentsOf(flags))
  await prepareFolder(config.folder, flags.overwrite === true)
  const progress = showProgress({
    stream: flags.json === true ? process.stdout : process.stderr,
    style: flags.json === true ? 'json' : undefined,
  })
  using interrupt = holdInterrupts(() => process.stderr.write('\nSaving and stopping; again to stop without saving.\n'))
  const run = await openRun(config, flags.threads === undefined ? {} : { threads: flags.threads })
  await using model = run.model
  progress.note(
    `${count(model.parameterCount)} parameters, ${run.train.length} examples, ${run.heldOut.length} held out, ` +
      `folder ${config.folder}`,
  )
  const last = await runToEnd(run, config, progress, interrupt.signal)
  await model.save(join(config.folder, 'model'))
  if (last === undefined || flags.json === true) return
  process.stderr.write(
    `${last.step} steps in ${duration(last.seconds)}. The model is in ${join(config.folder, 'model')}. Try:\n` +
      `  merge-lm edit -m ${join(config.folder, 'model')} --trace "your text"\n`,
  )
}

// Runs the trainer; stopped by a signal, it saves what was learned before the error goes on.
async function runToEnd(
  run: OpenRun,
  config: RunConfig,
  progress: Progress,
  signal: AbortSignal,
): Promise<StepReport | undefined> {
  const { trainer, model, corruption } = run
  const canEvaluate =
    run.heldOut.length > 0 && run.heldOut.every(({ source }) => source !== undefined || corruption !== undefined)
  let last: StepReport | undefined
  try {
    const reports = trainer.run(run.train, {
      signal,
      folder: config.folder,
      ...(corruption === undefined ? {} : { corruption }),
      ...(canEvaluate ? { evaluate: (current) => evaluateRun(current, run) } : {}),
    })
    for await (const report of reports) {
      last = report
      progress.report(report)
    }
    progress.end()
    return last
  } catch (error) {
    progress.end()
    if (!isMergeError(error, 'ERR_ABORTED') || !signal.aborted || trainer.step === 0) throw error
    const checkpoint = join(config.folder, 'checkpoints', `step-${trainer.step}`)
    if (last?.checkpoint !== checkpoint) await trainer.save(checkpoint)
    await model.save(join(config.folder, 'model'))
    throw new MergeError(
      'ERR_ABORTED',
      `${error.message} after step ${trainer.step}; saved ${checkpoint} and the model`,
      {
        cause: error,
        details: error.details,
      },
    )
  }
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

// A run that failed before its first step left nothing worth keeping.
async function prepareFolder(folder: string, overwrite: boolean): Promise<void> {
  if (overwrite) return clearRun(folder)
  const metrics = await stat(join(folder, 'metrics.jsonl')).catch(() => undefined)
  if (metrics === undefined || metrics.size === 0) return
  throw new MergeError(
    'ERR_CONFIG',
    `folder: expected a new folder, received ${folder}, which holds a run; choose another or add --overwrite`,
  )
}
