// merge-lm report: report.html of a run, made anew from what its folder holds.

import type { Command } from 'commander'
import { writeRunPage } from './writeRunPage.js'

/** Adds the command. */
export function addReport(program: Command): void {
  program
    .command('report')
    .summary('write report.html of a run')
    .description(
      "Writes report.html into a run's folder, or into that of an ablation study: the curves of every number of " +
        'metrics.jsonl, held-out texts round by round, the ablation table. One page, without script or network. A ' +
        'training run writes it by itself, after each evaluation and at its end.',
    )
    .argument('<run>', 'the folder of a run')
    .addHelpText('after', examples)
    .action(report)
}

const examples = `
Examples:
  $ merge-lm report runs/quickstart`

async function report(folder: string): Promise<void> {
  process.stdout.write(`${await writeRunPage(folder)}\n`)
}
