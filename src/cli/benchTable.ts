// benchTable: the results of a benchmark as tables, one for each suite, size and type.

import type { BenchReport, BenchResult, SuiteName } from '../bench/benchReport.js'
import { markdownTable } from './measuredPart.js'
import { count } from './progress.js'

/** A table of results that belong together. */
export interface BenchTable {
  readonly suite: SuiteName
  readonly size: BenchResult['size']
  readonly title: string
  /** What a cell says. */
  readonly note: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** The results behind it. */
  readonly results: readonly BenchResult[]
}

/** All tables of a report, in the order of its results. */
export function benchTables({ results }: BenchReport): BenchTable[] {
  return groupsOf(results, ({ suite, size, dtype, case: name }) => {
    // A pass of the encoder is another piece of work than an edit, and so is a whole process.
    return [suite, size, ...(suite === 'inference' ? [dtype, kindOf(name)] : [])].join(' ')
  }).flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    const { suite, size } = first
    return [{ suite, size, results: group, ...tableOf[suite](group, first) }]
  })
}

/** The tables of one suite and size as Markdown, with what they were measured on. */
export function benchMarkdown(report: BenchReport, tables: readonly BenchTable[]): string {
  const parts = tables.map(({ title, note, head, rows }) => `**${title}.** ${note}\n\n${markdownTable(head, rows)}`)
  return [machineLine(report), ...parts, ...missingLines(tables)].join('\n\n')
}

/** Machine, versions, commit. */
export function machineLine({ machine, versions, commit }: BenchReport): string {
  const { processor, cores, memoryGb, system, load } = machine
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `${processor}, ${cores} cores, ${memoryGb} GB, ${system}, load ${load} before; ${names.join(', ')}; commit ${commit?.slice(0, 12) ?? 'unknown'}.`
}

function missingLines(tables: readonly BenchTable[]): string[] {
  const missing = tables.flatMap(({ results }) => results.filter(isMissing))
  const lines = new Set(missing.map(({ peer, case: name }) => `Missing: ${peer} (${name.split(': missing, as ')[1]}).`))
  return [...lines]
}

const isMissing = ({ peer, latencyMs }: BenchResult): boolean => peer !== null && latencyMs === null

type Kind = 'edit' | 'pass' | 'life'

const kindOf = (name: string): Kind =>
  name.startsWith('one pass') ? 'pass' : name.startsWith('life of') ? 'life' : 'edit'

/** What each kind of case is called, the ratio that stands in its cells, and whose speed that is of. */
const kinds: Readonly<Record<Kind, readonly [title: string, ratio: string, than: string]>> = {
  edit: ['Inference', 'timesGpt', 'times the speed of GPT in the same turns, pair by pair'],
  pass: [
    'Encoder alone',
    'timesMatrices',
    'times the speed of its matrices alone, and of PyTorch eager, in the same turns, pair by pair',
  ],
  life: ['Cold start', '', 'beside a process that does nothing'],
}

type Content = Pick<BenchTable, 'title' | 'note' | 'head' | 'rows'>

const tableOf: Readonly<Record<SuiteName, (results: readonly BenchResult[], first: BenchResult) => Content>> = {
  ops: opsTable,
  training: trainingTable,
  inference: inferenceTable,
  quality: qualityTable,
}

function opsTable(results: readonly BenchResult[], { size, threads }: BenchResult): Content {
  return {
    title: `Ops, ${size} size, float32, ${threadsText(threads)}`,
    note: 'Milliseconds: median (quartiles). Times reference: how many times as fast as the slow twin, pair by pair.',
    head: ['op', 'case', 'rows', 'ms', 'reference ms', 'times reference'],
    rows: results.map((result) => [
      result.family,
      result.case,
      plain(result.batch),
      milliseconds(result),
      digits(figure(result, 'referenceMs')),
      `${digits(figure(result, 'timesReference'))} (${digits(figure(result, 'timesReferenceLow'))} to ${digits(figure(result, 'timesReferenceHigh'))})`,
    ]),
  }
}

function trainingTable(results: readonly BenchResult[], { size, threads }: BenchResult): Content {
  return {
    title: `Training step, ${size} size, ${threadsText(threads)}`,
    note:
      'Milliseconds of a step: median (quartiles). Times peer: the speed beside the twin in PyTorch, pair by pair. ' +
      'Outside: share of the time that is neither matrices nor attention.',
    head: ['family', 'case', 'rows', 'type', 'tokens/s', 'ms', 'times peer', 'outside, %', 'MiB'],
    rows: results
      .filter(isThere)
      .map((result) => [
        nameOf(result),
        result.case,
        plain(result.batch),
        plain(result.dtype),
        speed(result.tokensPerSecond),
        milliseconds(result),
        digits(figure(result, 'timesPeer')),
        percent(figure(result, 'outsideShare')),
        plain(result.peakMemoryMb),
      ]),
  }
}

// A row for each contender, a column for each batch.
function inferenceTable(results: readonly BenchResult[], first: BenchResult): Content {
  const { size, dtype, threads } = first
  const batches = [...new Set(results.map(({ batch }) => batch))].sort((a, b) => (a ?? 0) - (b ?? 0))
  const [title, ratio, than] = kinds[kindOf(first.case)]
  const contenders = groupsOf(results.filter(isThere), (result) => `${nameOf(result)} ${result.case}`)
  return {
    title: `${title}, ${size} size, ${dtype}, ${threadsText(threads)}`,
    note: `Tokens a second, by the median; milliseconds of a call, quartiles; ${than}. Outside: share of the time that is neither matrices nor attention.`,
    head: ['family', 'a call', 'rounds', 'passes', 'outside, %', 'MiB', ...batches.map((batch) => `batch ${batch}`)],
    rows: contenders.map((group) => {
      const last = group.at(-1)
      const cells = batches.map((batch) => {
        const result = group.find((each) => each.batch === batch)
        if (result === undefined) return '-'
        const times = figure(result, ratio)
        const eager = figure(result, 'timesEager')
        const ratios = [times === null ? '' : `; ${digits(times)}x`, eager === null ? '' : `, ${digits(eager)}x eager`]
        return result.tokensPerSecond === null
          ? `${digits(result.latencyMs)} ms (${quartiles(result)})`
          : `${speed(result.tokensPerSecond)} (${quartiles(result)} ms${ratios.join('')})`
      })
      const outside = last === undefined ? '-' : percent(figure(last, 'outsideShare'))
      const [name, task] = last === undefined ? ['', ''] : [nameOf(last), last.case]
      return [name, task, digits(last?.rounds), digits(last?.passes), outside, plain(last?.peakMemoryMb), ...cells]
    }),
  }
}

function qualityTable(results: readonly BenchResult[], { size }: BenchResult): Content {
  const share = (result: BenchResult, name: string): string => percent(figure(result, name))
  return {
    title: `Quality, ${size} size, the same budget of training for each family`,
    note: 'Shares of the held-out texts in percent; tokens a second of the drafts. The last rows need no training.',
    head: [
      'family',
      'exact',
      'F0.5',
      'over-corrected',
      'fills',
      'rounds',
      'passes',
      'tokens/s',
      'parameters',
      'training',
    ],
    rows: results.map((result) => [
      nameOf(result),
      ...['exact', 'f05', 'overCorrection', 'fillAccuracy'].map((name) => share(result, name)),
      digits(result.rounds),
      digits(result.passes),
      speed(result.tokensPerSecond),
      speed(figure(result, 'parameters')),
      figure(result, 'steps') === null
        ? '-'
        : `${plain(figure(result, 'steps'))} steps, ${digits(figure(result, 'trainingSeconds'))} s`,
    ]),
  }
}

/** The family, and whose program it is where it is not ours. */
export const nameOf = ({ family, peer }: BenchResult): string => (peer === null ? family : `${family}: ${peer}`)

/** A figure of a result, `null` where it has none. */
export const figure = ({ figures }: BenchResult, name: string): number | null => figures?.[name] ?? null

const percent = (share: number | null): string => (share === null ? '-' : (100 * share).toFixed(1))
const isThere = (result: BenchResult): boolean => !isMissing(result)
const plain = (value: number | string | null | undefined): string => String(value ?? '-')
const digits = (value: number | null | undefined): string =>
  value == null ? '-' : String(Number(value.toPrecision(3)))
const speed = (value: number | null): string => (value === null ? '-' : count(value))
const threadsText = (threads: number | null): string => (threads === 1 ? '1 thread' : `${threads} threads`)

function quartiles({ spread, latencyMs }: BenchResult): string {
  return spread === null ? digits(latencyMs) : `${digits(spread.low)} to ${digits(spread.high)}`
}

const milliseconds = (result: BenchResult): string => `${digits(result.latencyMs)} (${quartiles(result)})`

function groupsOf<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return [...groups.values()]
}
