// merge-lm infill: fills the holes of a text, or of every line of stdin.

import type { Command } from 'commander'
import { infillConfig } from '../config.js'
import { MergeError } from '../errors.js'
import { holedDraft } from '../merge/draft.js'
import { parseConfig } from '../parseConfig.js'
import { folderKind } from './anyModel.js'
import {
  type ModelFlags,
  openModel,
  type RefineFlags,
  refineOptions,
  takesModel,
  takesRefinement,
} from './modelOptions.js'
import { runTextCommand, type ShowFlags } from './textCommand.js'

interface InfillFlags extends ModelFlags, RefineFlags, ShowFlags {
  readonly hole?: string
}

/** Adds the command. */
export function addInfill(program: Command): void {
  const command = program
    .command('infill')
    .summary('fill the holes of a text')
    .description('Fills the holes of a text, any number of them at once; everything else never changes.')
    .argument('[text]', 'a text with ___ for each hole; left out or "-": lines of stdin')
  takesRefinement(takesModel(command))
    .option('--hole <text>', 'what marks a hole (default: ___)')
    .option('--trace', 'show every round')
    .option('--json', 'one JSON object a text')
    .addHelpText('after', examples)
    .action(async (text: string | undefined, flags: InfillFlags) => {
      const kind = await folderKind(flags.model)
      if (kind !== 'merge') {
        throw new MergeError('ERR_CONFIG', `model: expected a model of family merge, received ${kind}`)
      }
      return runTextCommand(text, flags, openModel, (signal) => {
        const given = flags.hole === undefined ? {} : { hole: flags.hole }
        const settings = parseConfig(infillConfig, { mode: 'gen', ...refineOptions(flags), ...given, signal }, '')
        return { settings, draftOf: (context, holed) => holedDraft(context, holed, settings.hole) }
      })
    })
}

const examples = `
Examples:
  $ merge-lm infill -m runs/quickstart/model "The ___ of the United States met today."
  $ merge-lm infill -m runs/quickstart/model --trace "We ___ peace with all ___."
  $ merge-lm infill -m runs/quickstart/model --hole "[?]" "Our [?] is strong."`
