// merge-lm generate: continues a prompt, or every line of stdin.

import type { Command } from 'commander'
import { refineConfig } from '../config.js'
import { promptDraft } from '../merge/draft.js'
import { parseConfig } from '../parseConfig.js'
import { type ModelFlags, type RefineFlags, refineOptions, takesModel, takesRefinement } from './modelOptions.js'
import { runTextCommand, type ShowFlags } from './textCommand.js'

/** Adds the command. */
export function addGenerate(program: Command): void {
  const command = program
    .command('generate')
    .summary('continue a prompt')
    .description('Continues a prompt at its end, several tokens in each round; the prompt itself never changes.')
    .argument('[prompt]', 'the prompt; left out or "-": lines of stdin')
  takesRefinement(takesModel(command))
    .option('--trace', 'show every round')
    .option('--json', 'one JSON object a prompt')
    .addHelpText('after', examples)
    .action((prompt: string | undefined, flags: ModelFlags & RefineFlags & ShowFlags) =>
      runTextCommand(prompt, flags, (signal) => ({
        settings: parseConfig(refineConfig, { mode: 'gen', ...refineOptions(flags), signal }, ''),
        draftOf: promptDraft,
      })),
    )
}

const examples = `
Examples:
  $ merge-lm generate -m runs/quickstart/model "The Congress of the "
  $ merge-lm generate -m runs/quickstart/model --temperature 0.8 --seed 3 --max-rounds 12 "I have "
  $ merge-lm generate -m runs/quickstart/model --trace "The state of the "`
