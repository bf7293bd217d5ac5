// merge-lm generate: continues a prompt, or every line of stdin.

import type { Command } from 'commander'
import { refineConfig } from '../config.js'
import { promptDraft } from '../merge/draft.js'
import { parseConfig } from '../parseConfig.js'
import { folderKind, refuse } from './anyModel.js'
import { type DenoiseFlags, denoiseFlagNames, generateBlocks, takesDenoising } from './generateBlocks.js'
import { generateTarget } from './generateTarget.js'
import { generateTokens } from './generateTokens.js'
import {
  type AnyModelFlags,
  loopFlagNames,
  openModel,
  type RefineFlags,
  refineOptions,
  takesModel,
  takesRefinement,
} from './modelOptions.js'
import { runTextCommand, type ShowFlags } from './textCommand.js'

/** Adds the command. */
export function addGenerate(program: Command): void {
  const command = program
    .command('generate')
    .summary('continue a prompt')
    .description(
      'Continues a prompt at its end, several tokens in each round; the prompt itself never changes. A RemeDi model, or a ' +
        'checkpoint in Hugging Face layout, answers block by block; a GPT writes on token by token. A MaskGIT model has no prompt: it writes a text of ' +
        '--max-new-tokens.',
    )
    .argument('[prompt]', 'the prompt; left out or "-": lines of stdin')
  takesDenoising(takesRefinement(takesModel(command)))
    .option('--trace', 'show every round, or every denoising step')
    .option('--json', 'one JSON object a prompt')
    .addHelpText('after', examples)
    .action(async (prompt: string | undefined, flags: AnyModelFlags & RefineFlags & DenoiseFlags & ShowFlags) => {
      const kind = await folderKind(flags.model)
      if (kind === 'gpt') return generateTokens(prompt, flags)
      if (kind === 'maskgit') return generateTarget(prompt, flags)
      if (kind !== 'merge') {
        refuse(flags, loopFlagNames, 'merge')
        return generateBlocks(prompt, flags)
      }
      refuse(flags, denoiseFlagNames, 'remedi')
      return runTextCommand(prompt, flags, openModel, (signal) => ({
        settings: parseConfig(refineConfig, { mode: 'gen', ...refineOptions(flags), signal }, ''),
        draftOf: promptDraft,
      }))
    })
}

const examples = `
Examples:
  $ merge-lm generate -m runs/quickstart/model "The Congress of the "
  $ merge-lm generate -m runs/quickstart/model --temperature 0.8 --seed 3 --max-rounds 12 "I have "
  $ merge-lm generate -m runs/quickstart/model --trace "The state of the "
  $ merge-lm generate -m checkpoints/remedi --chat --steps 16 --max-new-tokens 128 "Why is the sky blue?"
  $ merge-lm generate -m runs/maskgit/model --max-new-tokens 40 --temperature 1 --seed 3
  $ merge-lm generate -m checkpoints/remedi --sampler threshold --confidence-source probability --json "2 + 2 ="`
