// openRun: from a run's configuration to a model, its data and its trainer.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MergeModel } from '../model.js'
import { trainBpeTokenizer } from '../text/bpe.js'
import { byteTokenizer } from '../text/byteTokenizer.js'
import { trainCharacterTokenizer } from '../text/characterTokenizer.js'
import type { Corruption } from '../text/corruption.js'
import { corruptionFrom } from '../text/corruptionSpec.js'
import { type Example, openDataset, split } from '../text/dataset.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { loadTokenizer } from '../text/tokenizerFile.js'
import { evaluateEdits } from '../training/evaluate.js'
import type { RunConfig } from '../training/runConfig.js'
import { Trainer } from '../training/trainer.js'

/** A run that is ready to start. */
export interface OpenRun {
  readonly model: MergeModel
  readonly trainer: Trainer
  readonly train: readonly Example[]
  readonly heldOut: readonly Example[]
  /** Absent where the configuration says `untouched`: then an example without a source has no draft of its own. */
  readonly corruption?: Corruption
}

/** Reads the data, makes the tokenizer and the model. */
export async function openRun(config: RunConfig, options: { readonly threads?: number } = {}): Promise<OpenRun> {
  const examples = await openDataset(config.data)
  const { train, heldOut } = split(examples, { heldOut: config.heldOut, seed: config.recipe.seed })
  const corruption = config.corruption === 'untouched' ? undefined : await corruptionFrom(config.corruption)
  const tokenizer = await makeTokenizer(config, train)
  const model = await MergeModel.create({ ...config.model, tokenizer, seed: config.recipe.seed, ...options })
  const trainer = new Trainer(model, config.recipe)
  return { model, trainer, train, heldOut, ...(corruption === undefined ? {} : { corruption }) }
}

/** The tokenizer that the configuration describes, made from the training part of the data where it needs any. */
export async function makeTokenizer(
  { tokenizer }: Pick<RunConfig, 'tokenizer'>,
  train: readonly Example[],
): Promise<Tokenizer> {
  switch (tokenizer.kind) {
    case 'character': {
      const { caseShift, minFrequency } = tokenizer
      return trainCharacterTokenizer(texts(train), { caseShift, minFrequency })
    }
    case 'byte':
      return byteTokenizer()
    case 'bpe': {
      const { vocabularySize, minFrequency } = tokenizer
      return trainBpeTokenizer(texts(train), { vocabularySize, minFrequency })
    }
    case 'file':
      return loadTokenizer(tokenizer.path)
    default:
      return tokenizer satisfies never
  }
}

/** The evaluation of a run on its held-out examples: shares of exact edits and of damaged clean texts. */
export async function evaluateRun(model: MergeModel, run: Pick<OpenRun, 'heldOut' | 'corruption'>) {
  const { exact, exactNothing, cleanDamaged, meanRounds } = await evaluateEdits(
    model,
    run.heldOut,
    run.corruption === undefined ? {} : { corruption: run.corruption },
  )
  return { exact, exactNothing, cleanDamaged, meanRounds }
}

/** Removes what an earlier run left in its folder: metrics, checkpoints and the model, nothing else. */
export async function clearRun(folder: string): Promise<void> {
  for (const name of ['metrics.jsonl', 'checkpoints', 'model']) {
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

function* texts(examples: readonly Example[]): Generator<string> {
  for (const { source, target } of examples) {
    if (source !== undefined) yield source
    yield target
  }
}
