// Quickstart: trains a clean-up model on real English in ten minutes, then shows what it learned and measures it.
//
// npm run quickstart [-- --minutes 2 --seed 7 --set model.localMix=0 --set folder=runs/other]

import { rm } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  corruptionFrom,
  type Example,
  MergeError,
  MergeModel,
  openDataset,
  type RunConfig,
  randomFrom,
  split,
  Trainer,
  trainCharacterTokenizer,
} from 'merge-lm'
import { type Assignment, parseAssignment, readRunConfig } from '#cli/configFile.js'
import { errorText, exitCodeOf } from '#cli/exitCode.js'
import { holdInterrupts } from '#cli/interrupt.js'
import { showProgress } from '#cli/progress.js'
import { evaluate } from './evaluation.js'
import { writeReport } from './report.js'
import { demonstrate } from './show.js'
import { StepClock } from './stepClock.js'

const say = (text: string): boolean => process.stdout.write(`${text}\n`)

async function quickstart(): Promise<void> {
  // 1) the recipe; all of its numbers stand in config.yaml
  const config = await readRunConfig(
    fileURLToPath(new URL('../../../examples/quickstart/config.yaml', import.meta.url)),
    assignments(),
  )
  const { seed, minutes } = config.recipe
  using interrupt = holdInterrupts(() => say('\nStopping: what was learned so far is saved. Again to stop at once.'))
  const { signal } = interrupt

  // 2) the sentences; the held-out ones are never trained on
  const examples = await openDataset(config.data)
  const parts = split(examples, { heldOut: config.heldOut, seed })
  const heldOut = randomFrom(seed, 0, 0, 'held out').shuffle(parts.heldOut)
  say(`${examples.length} sentences of Presidents' messages to Congress, 1790 to 2016; ${heldOut.length} held out.`)
  say(
    `Each is lower-cased and loses its punctuation; the model learns to put both back, in ${minutes ?? '?'} minutes.\n`,
  )

  // 3) training
  const model = await makeModel(config, parts.train)
  try {
    const training = await train(model, config, parts.train, signal)
    const folder = join(config.folder, 'model')
    await model.save(folder)

    // 4) what it learned
    say(`\nMeasuring on the ${heldOut.length} held-out sentences ...`)
    const evaluation = await evaluate(model, { train: parts.train, heldOut, seed, signal })
    const shown = await demonstrate(model, { heldOut, seed, signal })
    const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`
    const summary = { ...evaluation.shares, ...training, parameters: model.parameterCount, seed, machine }
    await writeReport({ folder: config.folder, model: folder, summary, shown, say })
  } finally {
    await model.dispose()
  }
}

// What the command line puts in the place of the file's values.
function assignments(): Assignment[] {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { minutes: text, seed: text, set: { ...text, multiple: true } } })
  const flags = [
    ...(values.minutes === undefined ? [] : [`recipe.minutes=${values.minutes}`]),
    ...(values.seed === undefined ? [] : [`recipe.seed=${values.seed}`]),
    ...(values.set ?? []),
  ]
  return flags.reduce<Assignment[]>((earlier, flag) => parseAssignment(flag, earlier), [])
}

async function makeModel(config: RunConfig, train: readonly Example[]): Promise<MergeModel> {
  if (config.tokenizer.kind !== 'character') {
    throw new MergeError(
      'ERR_CONFIG',
      `tokenizer: the quickstart expects characters, received ${config.tokenizer.kind}`,
    )
  }
  const { caseShift, minFrequency } = config.tokenizer
  const sentences = train.map(({ target }) => target)
  const tokenizer = trainCharacterTokenizer(sentences, { caseShift, minFrequency })
  const model = await MergeModel.create({ ...config.model, tokenizer, seed: config.recipe.seed })
  say(`A model of ${model.parameterCount.toLocaleString('en')} parameters, ${tokenizer.vocabularySize} tokens.`)
  return model
}

async function train(model: MergeModel, config: RunConfig, examples: readonly Example[], signal: AbortSignal) {
  for (const name of ['metrics.jsonl', 'tensorboard', 'report.html', 'checkpoints', 'summary.json', 'report.txt']) {
    await rm(join(config.folder, name), { recursive: true, force: true })
  }
  const progress = showProgress({ stream: process.stdout })
  const trainer = new Trainer(model, config.recipe)
  const corruption = await corruptionFrom(config.corruption)
  const clock = new StepClock()
  try {
    for await (const report of trainer.run(examples, { corruption, folder: config.folder, signal })) {
      progress.report(report)
      clock.add(report)
    }
  } catch (error) {
    if (signal.aborted && trainer.step > 0) await model.save(join(config.folder, 'model'))
    throw error
  } finally {
    progress.end()
    clock.stop()
  }
  return clock.figures()
}

try {
  await quickstart()
} catch (error) {
  process.stderr.write(`\n${errorText(error, process.env.MERGE_LM_DEBUG === '1')}\n`)
  process.exitCode = exitCodeOf(error)
}
