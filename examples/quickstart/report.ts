// Report: the quickstart's figures and traces, for the terminal, for report.txt and for summary.json.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { percent } from '#cli/progress.js'
import { wantsColour } from '#cli/terminal.js'
import { renderTrace } from '#cli/trace.js'
import type { Shown } from './show.js'

/** What summary.json holds; shares are from 0 to 1. */
export interface Summary {
  readonly exact: number
  readonly exactNothing: number
  readonly exactCapital: number
  readonly exactRules: number
  readonly cleanDamaged: number
  readonly meanRounds: number
  readonly trainSeconds: number
  readonly tokensPerSecond: number
  readonly parameters: number
  readonly exactStripped: number
  readonly exactStrippedCapital: number
  readonly exactStrippedRules: number
  readonly evaluationSeconds: number
  readonly outsideShare: number
  readonly hostShare: number
  readonly eventLoopP99Ms: number
  readonly eventLoopMaxMs: number
  readonly steps: number
  readonly seed: number
  readonly machine: string
}

export interface ReportInput {
  /** Folder of the run. */
  readonly folder: string
  /** Folder of the model. */
  readonly model: string
  readonly summary: Summary
  readonly shown: readonly Shown[]
  readonly say: (text: string) => void
}

/** Prints the report, and writes it as report.txt beside summary.json. */
export async function writeReport({ folder, model, summary, shown, say }: ReportInput): Promise<void> {
  const parts = (colour: boolean): string =>
    [tracesText(shown, colour), figuresText(summary), honestWords, nextText(folder, model)].join('\n\n')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'summary.json'), `${JSON.stringify(summary, undefined, 2)}\n`)
  await writeFile(join(folder, 'report.txt'), `${parts(false)}\n`)
  say(`\n${parts(wantsColour(process.stdout))}`)
}

const headings: Readonly<Record<Shown['task'], string>> = {
  edit: 'Ten held-out sentences, none selected, in mode edit: the deleter is always asked',
  auto: 'Five more in mode auto, clean and sloppy in turn: the gate decides whether anything is to do',
  infill: 'Five with a hole where a word was',
  continue: 'Two to continue',
}

function tracesText(shown: readonly Shown[], colour: boolean): string {
  const lines: string[] = []
  let task: Shown['task'] | undefined
  for (const example of shown) {
    if (example.task !== task) lines.push(`${lines.length > 0 ? '\n' : ''}-- ${headings[example.task]}`)
    task = example.task
    lines.push('', renderTrace(example.lines, { colour }), ...verdict(example))
  }
  return lines.join('\n')
}

function verdict({ task, target, text }: Shown): string[] {
  if (target === undefined) return []
  if (text === target) return [task === 'infill' ? '   the same word' : '   exact']
  return [`   wanted  ${target}`]
}

function figuresText(summary: Summary): string {
  const rows: readonly (readonly [string, number, number])[] = [
    ['this model', summary.exact, summary.exactStripped],
    ['do nothing', summary.exactNothing, 0],
    ['capital and full stop', summary.exactCapital, summary.exactStrippedCapital],
    ['rules with four tables', summary.exactRules, summary.exactStrippedRules],
  ]
  return [
    'Exactly right, of the held-out sentences            as noised   all stripped',
    ...rows.map(
      ([name, noised, bare]) => `  ${name.padEnd(48)}${percent(noised).padStart(8)}${percent(bare).padStart(13)}`,
    ),
    '',
    `Clean sentences changed though nothing was wrong: ${percent(summary.cleanDamaged)}. ` +
      `Rounds a sentence: ${summary.meanRounds.toFixed(2)}.`,
    `${summary.parameters.toLocaleString('en')} parameters, ${summary.steps} steps in ${Math.round(summary.trainSeconds)} s, ` +
      `${Math.round(summary.tokensPerSecond).toLocaleString('en')} tokens/s (seed ${summary.seed}; ${summary.machine}).`,
    `Outside the native step: ${percent(summary.outsideShare)} of the time; in it but outside libtorch: ` +
      `${percent(summary.hostShare)}. Event loop delay, 99th percentile: ${summary.eventLoopP99Ms.toFixed(1)} ms.`,
  ].join('\n')
}

const honestWords = `"As noised": 12 % of the sentences are untouched, 58 % lost all capitals and . , ? ! ' " ; :, 30 % lost them in places;
some lost a space or gained a doubled letter. "All stripped": every sentence lost all capitals and all those marks.
This is a demonstration, not a benchmark. Ten minutes on two cores are enough to put capitals and full stops where they
belong, and to learn when to keep the hands off. They are not enough to spell, to know a comma from a semicolon where
people differ, or to write: what it continues or fills in has the sound of the text, hardly its sense.`

function nextText(folder: string, model: string): string {
  return [
    `The model is in ${model}, this report in ${join(folder, 'report.txt')}, the figures in ${join(folder, 'summary.json')}.`,
    'What to type next:',
    `  npx merge-lm edit -m ${model} --trace "we owe it to mr lincoln said the senator"`,
    `  npx merge-lm infill -m ${model} "The ___ of the United States."`,
    `  npx merge-lm inspect -m ${model}`,
    '  npx merge-lm --help',
  ].join('\n')
}
