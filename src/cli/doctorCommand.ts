// merge-lm doctor: says what was found on this machine and how to mend what was not.

import type { Command } from 'commander'
import { doctor, renderDoctor } from './doctor.js'
import { exitCodes } from './exitCode.js'

/** Adds the command. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('say what this machine has, lacks, and how to mend it')
    .description(
      'Looks at Node.js, build tools, libtorch, the native addon and the hardware. Changes and fetches nothing.',
    )
    .option('--json', 'the report as JSON')
    .addHelpText('after', examples)
    .action(async (flags: { readonly json?: boolean }) => {
      const report = await doctor()
      process.stdout.write(`${flags.json === true ? JSON.stringify(report) : renderDoctor(report)}\n`)
      if (!report.healthy) process.exitCode = exitCodes.usage
    })
}

const examples = `
Examples:
  $ merge-lm doctor
  $ merge-lm doctor --json`
