// ablationTable: an ablation study as a table: mean and spread of each figure, for Markdown and for a page.

import type { AblationReport, FigureName, Spread, VariantReport } from '../training/ablationReport.js'
import { markdownTable } from './measuredPart.js'
import { count } from './progress.js'

/** A table; the rows of an ablation stand together. */
export interface AblationTable {
  readonly head: readonly string[]
  readonly groups: readonly { readonly title: string; readonly rows: readonly (readonly string[])[] }[]
  /** What the numbers are. */
  readonly note: string
}

type Shown = (value: number) => string

const percent: Shown = (value) => (100 * value).toFixed(1)
const decimals: Shown = (value) => value.toFixed(2)

const columns: readonly (readonly [title: string, name: FigureName, shown: Shown])[] = [
  ['exact, %', 'exact', percent],
  ['F0.5, %', 'f05', percent],
  ['over-corrected, %', 'overCorrection', percent],
  ['deleter F1, %', 'deleterF1', percent],
  ['rounds', 'rounds', decimals],
  ['passes', 'passes', decimals],
  ['tokens/s', 'tokensPerSecond', count],
  ['training tokens/s', 'trainTokensPerSecond', count],
]

/** The table of a study. */
export function ablationTable(report: AblationReport): AblationTable {
  return {
    head: ['', ...columns.map(([title]) => title), 'steps'],
    groups: report.ablations.map(({ name, title, variants }) => ({
      title: `${title} (${name})`,
      rows: variants.map(row),
    })),
    note: noteOf(report),
  }
}

/** The same as Markdown. */
export function ablationMarkdown(report: AblationReport): string {
  const { head, groups, note } = ablationTable(report)
  const empty = head.slice(1).map(() => '')
  const rows = groups.flatMap((group) => [[`**${group.title}**`, ...empty], ...group.rows])
  return [note, '', markdownTable(head, rows)].join('\n')
}

function row({ title, runs, figures }: VariantReport): string[] {
  const steps = runs.map((run) => run.steps)
  const range = [...new Set([Math.min(...steps), Math.max(...steps)])].map(count).join(' to ')
  const cells = columns.map(([, figure, shown]) => cell(figures[figure], shown))
  return [title, ...cells, steps.length === 0 ? '-' : range]
}

function cell({ mean, deviation }: Spread, shown: Shown): string {
  if (mean === null) return '-'
  return deviation === null ? shown(mean) : `${shown(mean)} (${shown(deviation)})`
}

function noteOf({ budget, seeds, heldOut, machine, version }: AblationReport): string {
  const { steps, minutes } = budget
  const lengths = [
    ...(steps === undefined ? [] : [`${steps.toLocaleString('en')} steps`]),
    ...(minutes === undefined ? [] : [`${minutes} minutes`]),
  ]
  const over = seeds.length === 1 ? `seed ${seeds[0]}` : `seeds ${seeds.join(', ')}: mean (standard deviation)`
  return (
    `${lengths.join(' or ')} of training each, ${heldOut.toLocaleString('en')} held-out examples, ${over}. ` +
    `Version ${version}; ${machine}.`
  )
}
