// merge-lm bench: measures speed and quality on this machine, and writes one JSON, one page and tables.

import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { type BenchReport, sizeNames, suites } from '../bench/benchReport.js'
import { runBench } from '../bench/runBench.js'
import { whole } from '../config.js'
import { parseConfig } from '../parseConfig.js'
import { defaultThreads } from '../threads.js'
import { budgetOf } from './ablate.js'
import { benchPage } from './benchPage.js'
import { type BenchTable, benchMarkdown, benchTables } from './benchTable.js'
import { readRunConfig } from './configFile.js'
import { holdInterrupts } from './interrupt.js'
import { commandLine, writeMeasured } from './measuredPart.js'
import { numberOf } from './modelOptions.js'
import { jsonText } from './runRecord.js'
import { writeOutput } from './terminal.js'

const listOf = <T extends z.ZodType>(item: T) => z.array(item).min(1, 'expected at least one').readonly()

const benchFlags = z.object({
  suite: listOf(z.enum(suites)).default([...suites]),
  size: listOf(z.enum(sizeNames)).default(['small']),
  batch: listOf(whole(1, 65_536)).optional(),
  dtype: listOf(z.enum(['float32', 'bfloat16'])).optional(),
  threads: whole(1, 1024).optional(),
  samples: whole(2, 10_000).optional(),
  seconds: z.number('expected a number').positive('expected a number above 0').optional(),
  rounds: whole(1, 1000).default(2),
  tokens: whole(16, 32_768).optional(),
  budget: z
    .union([z.strictObject({ steps: z.number() }), z.strictObject({ minutes: z.number() })])
    .default({ steps: 300 }),
  config: z.string().default('examples/quickstart/config.yaml'),
  peers: z.boolean().default(false),
  quick: z.boolean().default(false),
  json: z.string().optional(),
  html: z.string().optional(),
  markdown: z.string().optional(),
})

type BenchFlags = z.output<typeof benchFlags>

/** Adds the command. */
export function addBench(program: Command): void {
  program
    .command('bench')
    .summary('measure speed and quality, beside baselines and other programs')
    .description(
      'Runs every case in turns with those it is compared with, after a first call that warms up, and gives medians ' +
        'with quartiles. ops: each op against its slow reference. training: tokens a second of a step. inference: ' +
        'tokens a second and latency of every family. quality: every family trained with one budget on the same data. ' +
        'Run it on a machine that does nothing else; the file says how busy it was.',
    )
    .option('--suite <names>', `some of ${suites.join(', ')} (default: all)`, namesOf)
    .option(
      '--size <names>',
      'small (the quickstart), reference (12 layers of 768, 32,768 words) (default: small)',
      namesOf,
    )
    .option('--batch <list>', 'rows of a call (default: 1,4,16,32)', numbersOf)
    .option('--dtype <list>', 'float32, bfloat16 (default: both)', namesOf)
    .option('--peers', 'beside other programs, where this machine has them: PyTorch and Hugging Face')
    .option('--samples <n>', 'calls of each case that count (default: 7)', numberOf)
    .option('--seconds <n>', 'no new turn of a case after so many seconds (default: 20)', numberOf)
    .option('--rounds <n>', 'rounds of the inference suite (default: 2)', numberOf)
    .option('--tokens <n>', 'tokens of a draft (default: 64 of small, 256 of reference)', numberOf)
    .option(
      '--budget <length>',
      'training of each family in the quality suite: 2m or 300steps (default: 300steps)',
      budgetOf,
    )
    .option('--config <file>', 'data and recipe of the quality suite (default: examples/quickstart/config.yaml)')
    .option('--threads <n>', 'threads of the engine and of the peers (default: as many as there are cores)', numberOf)
    .option('--quick', 'short rows, few calls: does it run at all?')
    .option('--json <file>', 'the results, as docs/benchmarks.md describes them')
    .option('--html <file>', 'a page with tables and figures')
    .option('--markdown <file>', 'puts the tables into a Markdown file, in place of those of an earlier run')
    .addHelpText('after', examples)
    .action(bench)
}

const examples = `
MERGE_LM_BENCH_PYTHON names the Python of the peers (default: python3), with what bench/peers/requirements.txt lists.
onnxruntime-node is measured where the folder that the bench is started in has it.

Examples:
  $ merge-lm bench --suite ops
  $ merge-lm bench --suite inference --size reference --peers --json bench.json --html bench.html
  $ merge-lm bench --suite quality --budget 2m --markdown docs/benchmarks.md`

async function bench(given: Readonly<Record<string, unknown>>): Promise<void> {
  const flags = parseConfig(benchFlags, given, '')
  const { suite, size, rounds, tokens, budget, config, peers, quick } = flags
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after the running call.\n'))
  const length = tokens ?? (quick ? 16 : undefined)
  let soFar: BenchReport | undefined
  const run = runBench({
    suites: suites.filter((name) => suite.includes(name)),
    settings: {
      sizes: size,
      batches: flags.batch ?? (quick ? [1, 4] : [1, 4, 16, 32]),
      dtypes: flags.dtype ?? (quick ? ['float32'] : ['float32', 'bfloat16']),
      threads: flags.threads ?? defaultThreads(),
      samples: flags.samples ?? (quick ? 2 : 7),
      seconds: flags.seconds ?? (quick ? 1 : 20),
      rounds,
      ...(length === undefined ? {} : { tokens: length }),
      peers,
      budget,
      readConfig: () => readRunConfig(config),
      signal: interrupt.signal,
      say: (text) => process.stderr.write(`${text}\n`),
    },
    onResult: (_, report) => {
      soFar = report
    },
  })
  try {
    await writeReport(await run, flags)
  } catch (error) {
    // What was measured until Ctrl-C is worth keeping.
    if (interrupt.signal.aborted && soFar !== undefined) await writeReport(soFar, flags)
    throw error
  }
}

async function writeReport(report: BenchReport, flags: BenchFlags): Promise<void> {
  const { json, html, markdown } = flags
  for (const path of [json, html, markdown]) {
    if (path !== undefined) await mkdir(dirname(path), { recursive: true })
  }
  if (json !== undefined) await writeOutput('json', json, jsonText(report))
  if (html !== undefined) await writeOutput('html', html, benchPage(report))
  const tables = benchTables(report)
  for (const part of partsOf(tables)) {
    const [first] = part
    if (first === undefined) continue
    const text = benchMarkdown(report, part)
    process.stdout.write(`${text}\n\n`)
    if (markdown === undefined) continue
    const { suite, size } = first
    const name = `bench ${suite} ${size}`
    const command = commandOf(flags, first)
    await writeMeasured(markdown, { name, command, markdown: text, heading: `## ${titles[suite]}, ${size}` }, newFile)
  }
}

const titles = { ops: 'Ops', training: 'Training', inference: 'Inference', quality: 'Quality' } as const

const newFile = `# Benchmarks

Each part stands beside the command that measured it. Text between two marks is written by that command.
`

// The tables of a suite and size are one part of the file: a run replaces what it measured and nothing else.
function partsOf(tables: readonly BenchTable[]): BenchTable[][] {
  const names = [...new Set(tables.map(({ suite, size }) => `${suite} ${size}`))]
  return names.map((name) => tables.filter(({ suite, size }) => `${suite} ${size}` === name))
}

/** The command for one part, without where its output goes. */
function commandOf(flags: BenchFlags, { suite, size }: BenchTable): string {
  const words = ['npx', 'merge-lm', 'bench', '--suite', suite, '--size', size]
  const add = (flag: string, value: string | number | undefined): void => {
    if (value !== undefined) words.push(flag, String(value))
  }
  if (flags.peers && suite !== 'ops' && suite !== 'quality') words.push('--peers')
  if (flags.quick) words.push('--quick')
  add('--batch', flags.batch?.join(','))
  add('--dtype', flags.dtype?.join(','))
  add('--samples', flags.samples)
  add('--seconds', flags.seconds)
  add('--tokens', flags.tokens)
  add('--threads', flags.threads)
  if (suite === 'inference') add('--rounds', flags.rounds)
  if (suite === 'quality') {
    const { budget } = flags
    add('--budget', 'steps' in budget ? `${budget.steps}steps` : `${budget.minutes}m`)
    add('--config', flags.config)
  }
  return commandLine(words)
}

const namesOf = (text: string): string[] => text.split(',').map((name) => name.trim())

function numbersOf(text: string): number[] {
  return namesOf(text).map((word) => {
    const value = Number(word)
    if (word === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Expected numbers such as 1,16.')
    return value
  })
}
