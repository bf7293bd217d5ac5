// merge-lm ablate: trains and measures the variants of a configuration, and writes one JSON and one table.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import { parseConfig } from '../parseConfig.js'
import { openDataset } from '../text/dataset.js'
import type { AblationReport } from '../training/ablationReport.js'
import type { RunConfig } from '../training/runConfig.js'
import { ablationPlan, type Budget } from './ablationPlan.js'
import { runStudy } from './ablationStudy.js'
import { ablationMarkdown } from './ablationTable.js'
import { type Assignment, parseAssignment, readRunConfig } from './configFile.js'
import { holdInterrupts } from './interrupt.js'
import { commandLine, writeMeasured } from './measuredPart.js'
import { numberOf } from './modelOptions.js'
import { showProgress } from './progress.js'
import { dataPrint, jsonText } from './runRecord.js'
import { writeOutput } from './terminal.js'
import { studyName } from './writeRunPage.js'

interface AblateFlags {
  readonly only?: readonly string[]
  readonly seeds?: number
  readonly budget?: Budget
  readonly out?: string
  readonly json?: string
  readonly markdown?: string
  readonly threads?: number
  readonly set?: readonly Assignment[]
}

/** Adds the command. */
export function addAblate(program: Command): void {
  program
    .command('ablate')
    .summary('train and measure what each part of a model is worth')
    .description(
      'Trains variants of a configuration, the same length each and with several seeds, and measures them on what the ' +
        'configuration holds out. The table goes to stdout, ablations.json and report.html into the study folder, ' +
        'after each run. A run that is finished is not run again; Ctrl-C saves the running one, and the same command ' +
        'goes on from there.',
    )
    .argument('<config>', 'a .json, .yaml or .yml file, as for train')
    .option('--only <names>', 'some of the ablations, such as gate,rounds', namesOf)
    .option('--budget <length>', 'length of each run: 5m (minutes) or 600steps (default: as configured)', budgetOf)
    .option('--seeds <n>', 'seeds of each variant, from recipe.seed on (default: 3)', numberOf)
    .option('--out <folder>', `where the study goes (default: ${studyName} in the folder of the configuration)`)
    .option('--json <file>', 'a copy of ablations.json')
    .option('--markdown <file>', 'puts command and table into a Markdown file, in place of those of an earlier study')
    .option('--set <key=value>', 'any other value, such as recipe.batchRows=8; may be repeated', parseAssignment)
    .option('--threads <n>', 'threads of the engine (default: as many as there are cores)', numberOf)
    .addHelpText('after', examples)
    .action(ablate)
}

const examples = `
Examples:
  $ merge-lm ablate examples/quickstart/config.yaml --only gate,rounds --budget 600steps
  $ merge-lm ablate examples/quickstart/config.yaml --budget 5m --markdown docs/results.md`

async function ablate(path: string, flags: AblateFlags): Promise<void> {
  const { seeds } = parseConfig(ablateFlags, flags, '')
  const config = await readRunConfig(path, flags.set)
  checkTask(config)
  const folder = flags.out ?? join(config.folder, studyName)
  const { only, budget, threads } = flags
  const plan = ablationPlan(config, {
    folder,
    seeds,
    data: dataPrint(await openDataset(config.data)).sha256,
    ...(only === undefined ? {} : { only }),
    ...(budget === undefined ? {} : { budget }),
  })
  using interrupt = holdInterrupts(() => process.stderr.write('\nSaving and stopping; again to stop without saving.\n'))
  await mkdir(folder, { recursive: true })
  const report = await runStudy({
    folder,
    plan,
    command: commandOf(path, flags),
    ...(threads === undefined ? {} : { threads }),
    progress: showProgress({ stream: process.stderr }),
    signal: interrupt.signal,
    warn: (message) => process.stderr.write(`merge-lm: warning: ${message}\n`),
  })
  if (flags.json !== undefined) await writeOutput('json', flags.json, jsonText(report))
  if (flags.markdown !== undefined) await writeResults(flags.markdown, report)
  process.stdout.write(`${ablationMarkdown(report)}\n`)
}

const ablateFlags = z.object({
  seeds: z
    .int('expected a whole number 1..100')
    .min(1, 'expected a whole number 1..100')
    .max(100, 'expected a whole number 1..100')
    .default(3),
})

function checkTask({ heldOut }: RunConfig): void {
  if (heldOut > 0) return
  throw new MergeError('ERR_CONFIG', 'heldOut: expected examples to measure on, received 0')
}

function namesOf(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

/** Parses `5m` or `600steps`; the range is checked with the recipe. */
export function budgetOf(text: string): Budget {
  const [, number = '', unit] = /^([\d.]+) ?(m|min|steps)$/.exec(text) ?? []
  const value = Number(number)
  if (unit === undefined || !(value > 0)) throw new InvalidArgumentError('Expected a length such as 5m or 600steps.')
  return unit === 'steps' ? { steps: value } : { minutes: value }
}

/** The command that these flags belong to, without where its output goes. */
function commandOf(path: string, { only, budget, seeds, out, markdown, threads, set = [] }: AblateFlags): string {
  const words = ['npx', 'merge-lm', 'ablate', path]
  const add = (flag: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(flag, String(value))
  }
  add('--only', only?.join(','))
  if (budget !== undefined) add('--budget', 'steps' in budget ? `${budget.steps}steps` : `${budget.minutes}m`)
  add('--seeds', seeds)
  add('--threads', threads)
  for (const [key, value] of set) add('--set', `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  add('--out', out)
  add('--markdown', markdown)
  return commandLine(words)
}

const newFile = `# Results

What was measured, each beside the command that measured it. Text between two marks is written by that command.
`

async function writeResults(path: string, report: AblationReport): Promise<void> {
  const { command } = report
  const part = { name: 'ablations', command, markdown: ablationMarkdown(report), heading: '## Ablations' }
  await writeMeasured(path, part, newFile)
}
