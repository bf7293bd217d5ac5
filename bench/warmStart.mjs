// `node bench/warmStart.mjs WEIGHTS.bin TOKENS.bin SENTENCES.tsv [CPU_SECONDS]`: what published weights are worth. A
// trained LLaMA in llama2.c's layout (stories260K.bin, tok512.bin) and a random model of its shape learn to name masked
// tokens of the sentences (first column) for as many CPU-seconds on one thread. Prints one JSON object.
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { MergeModel, maskedAccuracy, split, Trainer, warmupThenLinear } from 'merge-lm'
import { writePublished } from './llama2c.mjs'

const [weights, tokens, sentences, seconds = '120'] = process.argv.slice(2)
if (sentences === undefined) throw new Error('expected WEIGHTS.bin TOKENS.bin SENTENCES.tsv [CPU_SECONDS]')

const texts = new Set()
for await (const line of createInterface({ input: createReadStream(sentences) })) {
  texts.add(line.split('\t')[0].replace(/^\ufeff/, ''))
}
const examples = [...texts].map((target) => ({ target }))
const { train, heldOut } = split(examples, { heldOut: 1000, seed: 1 })
const recipe = {
  task: 'pretrain',
  minutes: Number(seconds) / 60,
  maskShare: [0.15, 0.15],
  learningRate: warmupThenLinear(2e-3),
  tooLong: 'drop',
}

/** Milliseconds of processor time, the clock of both runs. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const folder = await mkdtemp(join(tmpdir(), 'merge-lm-warm-start-'))
const result = { cpuSeconds: Number(seconds), sentences: Math.min(20_000, train.length), heldOut: heldOut.length }
try {
  await writePublished(folder, weights, tokens)
  for (const start of ['warm', 'random']) {
    const warm = await MergeModel.fromPretrained(folder, { maxLength: 128, threads: 1 })
    const model =
      start === 'warm' ? warm : await MergeModel.create({ ...warm.config, tokenizer: warm.tokenizer, seed: 1 })
    const trainer = new Trainer(model, recipe, cpuMs)
    const before = await maskedAccuracy(model, heldOut, trainer.recipe)
    let steps = 0
    for await (const report of trainer.run(train.slice(0, 20_000))) steps = report.step
    const after = await maskedAccuracy(model, heldOut, trainer.recipe)
    result[start] = { steps, before: before.maskedAccuracy, after: after.maskedAccuracy, loss: after.maskedLoss }
    await model.dispose()
    await warm.dispose()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
console.log(JSON.stringify(result, undefined, 2))
