// Gate: one model on a task with wrong tokens and on one where only tokens are missing; mode auto beside edit and gen.
//
// node build/examples/quickstart/gate.js [--model runs/quickstart/model] [--markdown docs/results.md]

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cleanUpNoise, type Example, evaluateEdits, MergeModel, openDataset, split } from 'merge-lm'
import { readRunConfig } from '#cli/configFile.js'
import { commandLine, markdownTable, writeMeasured } from '#cli/measuredPart.js'
import { stripped } from './evaluation.js'

const { values } = parseArgs({
  options: { model: { type: 'string', default: 'runs/quickstart/model' }, markdown: { type: 'string' } },
})

// 1) sentences of the training choose the threshold, with noise that no step has seen; what the run held out is measured
const config = await readRunConfig(fileURLToPath(new URL('../../../examples/quickstart/config.yaml', import.meta.url)))
const { train, heldOut } = split(await openDataset(config.data), { heldOut: config.heldOut, seed: config.recipe.seed })
const choosing = train.slice(0, 2000)

await using model = await MergeModel.load(values.model)
type Choice = { readonly mode: 'auto' | 'edit' | 'gen'; readonly editThreshold?: number }

/** Share of drafts that come out exactly right: with noise that needs deletions, and with nothing but losses. */
async function exact(examples: readonly Example[], choice: Choice): Promise<readonly [edit: number, gen: number]> {
  const noised = await evaluateEdits(model, examples, { corruption: cleanUpNoise(), ...choice })
  const bare = await evaluateEdits(model, stripped(examples), choice)
  return [noised.exact, bare.exact]
}

// 2) the threshold whose worse task loses least against the better of the two fixed modes
const thresholds = [0.5, 0.6, 0.7, 0.8, 0.9]
const loss = (auto: readonly number[], fixed: readonly (readonly number[])[]): number =>
  Math.max(...auto.map((share, task) => Math.max(...fixed.map((shares) => shares[task] ?? 0)) - share))
const fixedHere = [await exact(choosing, { mode: 'edit' }), await exact(choosing, { mode: 'gen' })]
let chosen = { editThreshold: 0.5, loss: Number.POSITIVE_INFINITY }
for (const editThreshold of thresholds) {
  const lost = loss(await exact(choosing, { mode: 'auto', editThreshold }), fixedHere)
  if (lost < chosen.loss) chosen = { editThreshold, loss: lost }
}

// 3) the table
const percent = (share: number): string => (100 * share).toFixed(1)
const { editThreshold } = chosen
const rows: readonly (readonly [string, Choice])[] = [
  ['edit: always delete first', { mode: 'edit' }],
  ['gen: only insert', { mode: 'gen' }],
  ['auto, threshold 0.5', { mode: 'auto' }],
  [`auto, threshold ${editThreshold}, chosen on ${choosing.length} others`, { mode: 'auto', editThreshold }],
]
const shares = await Promise.all(rows.map(([, choice]) => exact(heldOut, choice)))
const fixed = shares.slice(0, 2)
const table = markdownTable(
  ['mode', 'as noised, %', 'all stripped, %', 'behind the better fixed mode, points'],
  rows.map(([name], row) => {
    const of = shares[row] ?? [0, 0]
    return [name, ...of.map(percent), row < 2 ? '' : percent(Math.max(0, loss(of, fixed)))]
  }),
)
const text = `Exact matches on ${heldOut.length} held-out sentences; one model, ${model.parameterCount} parameters.\n\n${table}`
process.stdout.write(`${text}\n`)
if (values.markdown !== undefined) {
  const command = commandLine(['node', join('build', 'examples', 'quickstart', 'gate.js'), ...process.argv.slice(2)])
  const part = { name: 'gate', command, markdown: text, heading: '## Gate: mode auto beside the fixed modes' }
  await writeMeasured(values.markdown, part, '# Results\n')
}
