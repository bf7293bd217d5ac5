// merge-lm edit: repairs a text, or every line of stdin.

import type { Command } from 'commander'
import { draftConfig } from '../config.js'
import { editableDraft } from '../merge/draft.js'
import { parseConfig } from '../parseConfig.js'
import { folderKind, refuse } from './anyModel.js'
import { editWithBaseline, isBaseline } from './baselines.js'
import { type ModelFlags, type RefineFlags, refineOptions, takesModel, takesRefinement } from './modelOptions.js'
import { runTextCommand, type ShowFlags } from './textCommand.js'
import { parseSpans } from './textInput.js'

interface EditFlags extends ModelFlags, RefineFlags, ShowFlags {
  readonly mode?: string
  readonly locked?: [number, number][]
}

/** Adds the command. */
export function addEdit(program: Command): void {
  const command = program
    .command('edit')
    .summary('repair a text, or every line of stdin')
    .description(
      'Repairs a text. In mode auto the gate decides whether a text needs an edit at all; in mode edit the deleter is ' +
        'always asked; in mode gen nothing is deleted. Without a text, each line of stdin gives one line of stdout. ' +
        'A baseline (gpt) that was trained on pairs writes the target of the text.',
    )
    .argument('[text]', 'the text; left out or "-": lines of stdin')
  takesRefinement(takesModel(command).option('--mode <mode>', 'auto, edit or gen (default: auto)'))
    .option('--locked <spans>', 'spans that never change, such as 0:2,5:9 (UTF-16 offsets)', parseSpans)
    .option('--trace', 'show every round: what was deleted, where masks went, what was filled in')
    .option('--trace-svg <file>', 'draw the trace into an SVG file')
    .option('--json', 'one JSON object a text: text, edits with offsets, rounds, stopReason, confidence')
    .addHelpText('after', examples)
    .action(async (text: string | undefined, flags: EditFlags) => {
      const kind = await folderKind(flags.model)
      if (isBaseline(kind)) {
        refuse(flags, ['mode', 'locked', 'trace', 'traceSvg'], 'merge')
        return editWithBaseline(kind, text, flags)
      }
      return runTextCommand(text, flags, (signal) => {
        const { mode, locked } = flags
        const given = { ...(mode === undefined ? {} : { mode }), ...(locked === undefined ? {} : { locked }) }
        const settings = parseConfig(draftConfig, { ...refineOptions(flags), ...given, signal }, '')
        return { settings, draftOf: (context, draft) => editableDraft(context, draft, settings.locked) }
      })
    })
}

const examples = `
Examples:
  $ merge-lm edit -m runs/quickstart/model "we must not fail said mr lincoln"
  $ merge-lm edit -m runs/quickstart/model --trace "i thank the congress"
  $ merge-lm edit -m runs/quickstart/model --locked 0:2 "mr lincoln spoke"    the first two letters stay
  $ merge-lm edit -m runs/quickstart/model --json < lines.txt > edits.jsonl
  $ merge-lm edit -m runs/quickstart/model --trace-svg trace.svg "i thank the congress"`
