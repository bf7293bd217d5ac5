// merge-lm tokenizer train: learns a tokenizer from texts and writes tokenizer.json.

import { mkdir } from 'node:fs/promises'
import type { Command } from 'commander'
import { MergeError } from '../errors.js'
import { parseConfig } from '../parseConfig.js'
import { openDataset } from '../text/dataset.js'
import { saveTokenizer } from '../text/tokenizerFile.js'
import { tokenizerConfig } from '../training/runConfig.js'
import { numberOf } from './modelOptions.js'
import { makeTokenizer } from './openRun.js'

interface TokenizerFlags {
  readonly kind: string
  readonly out: string
  readonly vocabularySize?: number
  readonly minFrequency?: number
}

/** Adds the command. */
export function addTokenizer(program: Command): void {
  program
    .command('tokenizer')
    .summary('learn a tokenizer from texts')
    .description('Tokenizers: the data of a run can bring their own, or share one that was learned before.')
    .command('train')
    .summary('learn a tokenizer and write tokenizer.json')
    .description('Learns a tokenizer from text, JSONL or Parquet files and writes <out>/tokenizer.json.')
    .argument('<files...>', 'text, .jsonl or .parquet files')
    .requiredOption('-o, --out <folder>', 'the folder that gets tokenizer.json')
    .option('--kind <kind>', 'bpe, character or byte', 'bpe')
    .option('--vocabulary-size <n>', 'ids in all, for bpe (default: 8192)', numberOf)
    .option('--min-frequency <n>', 'rarer pairs (bpe) or characters are left out', numberOf)
    .addHelpText('after', examples)
    .action(train)
}

const examples = `
Examples:
  $ merge-lm tokenizer train letters.txt -o tokenizers/letters --vocabulary-size 4096
  $ merge-lm tokenizer train pairs.jsonl more.txt -o tokenizers/small --kind character
In a run's configuration:  tokenizer: { kind: file, path: tokenizers/letters }`

async function train(files: string[], flags: TokenizerFlags): Promise<void> {
  const { kind, out, vocabularySize, minFrequency } = flags
  const tokenizer = parseConfig(
    tokenizerConfig,
    {
      kind,
      ...(vocabularySize === undefined ? {} : { vocabularySize }),
      ...(minFrequency === undefined ? {} : { minFrequency }),
    },
    'tokenizer',
  )
  const made = await makeTokenizer({ tokenizer }, await openDataset({ files }))
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    throw new MergeError('ERR_INPUT', `out: expected a folder that can be written, received ${out}`, {
      cause,
      details: { output: out },
    })
  })
  process.stdout.write(`${await saveTokenizer(made, out)}: ${made.kind}, vocabulary ${made.vocabularySize}\n`)
}
