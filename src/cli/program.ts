// program: all commands put together, and one run of the command line from arguments to exit code.

import { Command, CommanderError } from 'commander'
import { packageVersion } from '../version.js'
import { addAblate } from './ablate.js'
import { addBench } from './bench.js'
import { addDoctor } from './doctorCommand.js'
import { addEdit } from './edit.js'
import { addEval } from './eval.js'
import { errorText, exitCodeOf, exitCodes } from './exitCode.js'
import { addExport } from './export.js'
import { addGenerate } from './generate.js'
import { addInfill } from './infill.js'
import { addInspect } from './inspect.js'
import { addReport } from './report.js'
import { addTrain } from './train.js'
import { addTokenizer } from './trainTokenizer.js'

/** The command line; it throws instead of ending the process. */
export function makeProgram(): Command {
  const program = new Command('merge-lm')
    .description('Train and run text models that edit as well as generate.')
    .version(packageVersion(), '-V, --version')
    .showHelpAfterError('(add --help for what it takes, and examples)')
    .exitOverride()
    .addHelpText('after', examples)
  addTrain(program)
  addEdit(program)
  addGenerate(program)
  addInfill(program)
  addInspect(program)
  addExport(program)
  addEval(program)
  addAblate(program)
  addBench(program)
  addReport(program)
  addTokenizer(program)
  addDoctor(program)
  return program
}

/** Runs a command line and gives its exit code; errors are one sentence on stderr. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    await makeProgram().parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? exitCodes.ok)
  } catch (error) {
    // Commander has said it already; help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    process.stderr.write(`${errorText(error, process.env.MERGE_LM_DEBUG === '1')}\n`)
    return exitCodeOf(error)
  }
}

const examples = `
A first walk:
  $ merge-lm doctor                                         is everything here?
  $ merge-lm train examples/quickstart/config.yaml          train on two cores
  $ merge-lm edit -m runs/quickstart/model --trace "i thank the congress"
  $ merge-lm infill -m runs/quickstart/model "The ___ of the Union is strong."
  $ merge-lm inspect -m runs/quickstart/model
  $ merge-lm eval -m runs/quickstart/model --data examples/quickstart/config.yaml

Exit codes: 0 ok, 1 internal, 2 usage or configuration, 3 data, 4 saved model, 5 input or output, 6 a number that is
not finite, 8 memory, 130 Ctrl-C, 143 terminated. MERGE_LM_DEBUG=1 shows the stack of an error, NO_COLOR=1 no colours.`
