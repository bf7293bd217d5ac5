// The encoder of the reference size in every precision, in turns: milliseconds of a pass without a loss.
//
//   node bench/precision.mjs [TOKENS [THREADS]]        256 1; after npm run build
import { benchSize } from '../dist/bench/benchSize.js'
import { draftsOf } from '../dist/bench/families.js'
import { MergeModel, sessionOf } from '../dist/model.js'
import { packRows } from '../dist/rows.js'
import { idTokenizer } from '../dist/text/idTokenizer.js'
import { builtInSpecial } from '../dist/text/tokenizer.js'

const [tokens = 256, threads = 1] = process.argv.slice(2).map(Number)
const size = benchSize('reference', tokens)
const { layers, width, heads, feedForward, vocabulary, length } = size
const tokenizer = idTokenizer({ vocabularySize: vocabulary, special: builtInSpecial })
const shape = { layers, width, heads, feedForward, localMix: 0, deleter: 'linear', inserter: 'linear' }
const precisions = [
  {},
  { matmulPrecision: 'medium' },
  { dtype: 'bfloat16' },
  { matmulPrecision: 'int8' },
  { dtype: 'bfloat16', matmulPrecision: 'int8' },
]
const models = []
for (const precision of precisions) {
  models.push(await MergeModel.create({ ...shape, maxLength: length, threads, tokenizer, ...precision }))
}
for (const batch of [16, 1]) {
  const rows = packRows(draftsOf(size, batch))
  const times = models.map(() => [])
  for (let turn = 0; turn < 6; turn++) {
    for (const [index, model] of models.entries()) {
      const start = performance.now()
      await sessionOf(model).inspect(rows, ['gate'])
      // The first turn warms up.
      if (turn > 0) times[index].push(performance.now() - start)
    }
  }
  for (const [index, precision] of precisions.entries()) {
    const median = times[index].toSorted((a, b) => a - b)[2]
    console.log(`${batch} x ${tokens}`, JSON.stringify(precision), `${median.toFixed(1)} ms`)
  }
}
for (const model of models) await model.dispose()
