// merge-lm export: a RemeDi model as a checkpoint in the official Hugging Face layout.

import type { Command } from 'commander'
import { z } from 'zod'
import { parseConfig } from '../parseConfig.js'
import { openRemediModel } from './anyModel.js'
import { type AnyModelFlags, numberOf, takesModel } from './modelOptions.js'

interface ExportFlags extends AnyModelFlags {
  readonly to: string
  readonly fileDtype?: string
  readonly shardBytes?: number
}

/** Adds the command. */
export function addExport(program: Command): void {
  takesModel(
    program
      .command('export')
      .summary('write a RemeDi model in Hugging Face layout')
      .description(
        'Writes config.json, tokenizer.json, the chat template and the weights under the names of the official release. ' +
          'The model may be one of ours, or a RemeDi, LLaDA or LLaMA checkpoint, whose policy stream is drawn if it has none.',
      ),
  )
    .requiredOption('--to <folder>', 'the folder to write: a free name, or an earlier export')
    .option('--weight-dtype <type>', 'float32 or bfloat16, how matrices are held meanwhile (default: as saved)')
    .option('--file-dtype <type>', 'float32 or bfloat16, of the tensors in the files (default: as they are held)')
    .option('--shard-bytes <n>', 'most bytes of a file (default: 5e9)', numberOf)
    .addHelpText('after', examples)
    .action(exportModel)
}

const examples = `
Examples:
  $ merge-lm export -m runs/chat/model --to checkpoints/chat
  $ merge-lm export -m checkpoints/llada --weight-dtype bfloat16 --to checkpoints/remedi-start`

const exportConfig = z.strictObject({
  dtype: z.enum(['float32', 'bfloat16']).optional(),
  shardBytes: z.number('expected a number above 0').gt(0, 'expected a number above 0').optional(),
})

async function exportModel(flags: ExportFlags): Promise<void> {
  const { fileDtype, shardBytes } = flags
  const given = Object.entries({ dtype: fileDtype, shardBytes }).filter(([, value]) => value !== undefined)
  const options = parseConfig(exportConfig, Object.fromEntries(given), '')
  await using model = await openRemediModel(flags)
  await model.exportPretrained(flags.to, options)
}
