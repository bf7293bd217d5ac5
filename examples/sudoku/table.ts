// The table of RemeDi's stages: base, vanilla SFT, Remask-SFT and Remask-RL on the same puzzles and steps, answered with
// several confidence sources and steps per block; mean and spread over seeds.
//
// node build/examples/sudoku/table.js [--seeds 1,2,3 --share 1,1,1 --rows 64 --puzzles 456 --threads 2 --markdown docs/results.md]
//
// --share: of the steps of base.yaml, sft.yaml and rl.yaml; --rows: of a batch of the first two; --puzzles: of the test,
// evenly spread over its grids. A model that the folder holds with the same recipe is not
// trained again, so the seeds can be trained side by side and a last call writes the table; --read trains nothing.

import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  type Example,
  evaluateRemedi,
  type GenerateOptions,
  openDataset,
  RemediModel,
  type RemediRunConfig,
  Trainer,
  trainCharacterTokenizer,
} from 'merge-lm'
import { readAnyRunConfig } from '#cli/configFile.js'
import { valid } from './reward.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    share: { type: 'string', default: '1,1,1' },
    rows: { type: 'string' },
    puzzles: { type: 'string' },
    read: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
    folder: { type: 'string', default: 'runs/sudoku/table' },
    markdown: { type: 'string' },
  },
})
const seeds = values.seeds.split(',').map(Number)
const say = (text: string): boolean => process.stderr.write(`${text}\n`)

/** One way to answer. */
interface Way {
  readonly name: string
  readonly options: GenerateOptions
}

const byProbability: Way = { name: 'probability, keeps', options: { sampler: 'llada' } }
const sources = ['ups', 'probability', 'random'] as const
const remasking: readonly Way[] = sources.map((source) => ({
  name: `${source}, remasks`,
  options: { confidenceSource: source },
}))

/** What one model scores in one way. */
interface Score {
  readonly model: string
  readonly way: string
  readonly steps: number
  readonly seed: number
  readonly numbers: Readonly<Record<(typeof columns)[number], number>>
}

/** What was measured, one entry for each model, way, number of steps and seed. */
type Found = (Score & { readonly calibration: readonly number[] })[]

const columns = ['valid, %', 'evaluations', 'remasks per block', 'tokens/s', 'AUROC', 'AUROC of probability'] as const
const calibrated = ['ECE', 'ECE scaled', 'Brier', 'Brier scaled'] as const

/** A stage's file, shortened to the share that the command line names. */
async function stage(name: 'base' | 'sft' | 'rl'): Promise<RemediRunConfig> {
  const path = fileURLToPath(new URL(`../../../examples/sudoku/${name}.yaml`, import.meta.url))
  const config = await readAnyRunConfig(path)
  if (config.family !== 'remedi') throw new Error(`${path}: expected a RemeDi run`)
  const shares = values.share.split(',').map(Number)
  const share = shares[['base', 'sft', 'rl'].indexOf(name)] ?? shares[0] ?? 1
  const steps = Math.max(1, Math.round((config.recipe.steps ?? 1) * share))
  const batchRows = values.rows === undefined || name === 'rl' ? config.recipe.batchRows : Number(values.rows)
  return { ...config, recipe: { ...config.recipe, steps, batchRows } }
}

/** Trains a model by a stage's recipe. */
async function learn(model: RemediModel, config: RemediRunConfig, seed: number, examples: readonly Example[]) {
  const trainer = new Trainer(model, { ...config.recipe, seed })
  for await (const report of trainer.run([...examples])) {
    if (report.step % 50 !== 0) continue
    const reward = 'reward' in report ? `, reward ${report.reward.toFixed(3)}` : ''
    say(`  ${config.recipe.task} ${report.step} of ${config.recipe.steps}: ${JSON.stringify(report.terms)}${reward}`)
  }
}

async function score(
  model: RemediModel,
  name: string,
  ways: readonly Way[],
  seed: number,
  examples: readonly Example[],
) {
  const cells = model.config.blockLength
  const found: Found = []
  for (const way of ways) {
    for (const steps of [cells / 8, cells / 4, cells / 2, cells]) {
      const options = { ...way.options, steps, maxNewTokens: cells, stopAtEndOfText: false }
      const result = await evaluateRemedi(model, examples, {
        ...options,
        reward: (puzzle, grid) => valid(puzzle, grid),
      })
      const { ups, probability } = result.calibration
      const numbers = {
        'valid, %': 100 * (result.reward.value ?? 0),
        evaluations: result.meanEvaluations.value ?? 0,
        'remasks per block': result.remasksPerBlock.value ?? 0,
        'tokens/s': result.tokensPerSecond,
        AUROC: ups.raw.auroc.value ?? Number.NaN,
        'AUROC of probability': probability.raw.auroc.value ?? Number.NaN,
      }
      const calibration = [ups.raw.ece, ups.scaled.ece, ups.raw.brier, ups.scaled.brier].map(
        ({ value }) => value ?? Number.NaN,
      )
      found.push({ model: name, way: way.name, steps, seed, numbers, calibration })
      say(`  ${name}, ${way.name}, ${steps} steps: ${numbers['valid, %'].toFixed(1)} % valid`)
    }
  }
  return found
}

async function run(seed: number): Promise<Found> {
  say(`seed ${seed}`)
  const base = await stage('base')
  const train = await openDataset(base.data)
  const test = spreadOver(await openDataset(base.evaluation.data ?? base.data), Number(values.puzzles ?? Infinity))
  const tokenizer = trainCharacterTokenizer(
    train.flatMap(({ source = '', target }) => [source, target]),
    { caseShift: false },
  )
  const threads = Number(values.threads)
  const folderOf = (name: string): string => join(values.folder, `${seed}`, name)
  const results: Found = []

  // Trains and scores one model, or reads what an earlier call found; `recipes` are those that lead to it.
  const add = async (name: string, recipes: readonly RemediRunConfig[], from: string | undefined) => {
    const folder = folderOf(name)
    const told = recipes.map(({ model, recipe }) => ({ model, recipe }))
    const key = JSON.stringify([told, ways.get(name), test.length])
    const known = await readIfThere(`${folder}.json`)
    if (known !== undefined && known.key === key) {
      results.push(...known.scores)
      return
    }
    if (values.read) return
    const config = recipes.at(-1)
    if (config === undefined) throw new Error(`${name}: expected a recipe`)
    const model =
      from === undefined
        ? await RemediModel.create({ ...config.model, tokenizer, seed, threads })
        : await RemediModel.load(folderOf(from), { threads })
    await learn(model, config, seed, train)
    await model.save(folder)
    const scores = await score(model, name, ways.get(name) ?? [], seed, test)
    await model.dispose()
    await writeFile(`${folder}.json`, `${JSON.stringify({ key, scores }, undefined, 2)}\n`)
    results.push(...scores)
  }

  // Vanilla SFT: the steps, data and learning rates of Remask-SFT, without wrong tokens and without a confidence.
  await mkdir(join(values.folder, `${seed}`), { recursive: true })
  const sft = await stage('sft')
  if (sft.recipe.task !== 'sft') throw new Error('sft.yaml: expected task sft')
  const {
    wrongRatio: _r,
    wrongTokens: _w,
    confidenceWeight: _c,
    confidenceSmoothing: _s,
    maskFree: _m,
    ...shared
  } = sft.recipe
  const vanilla: RemediRunConfig = { ...sft, recipe: { ...shared, task: 'base' } }
  await add('base', [base], undefined)
  await add('+Remask-SFT', [base, sft], 'base')
  await add('+SFT', [base, vanilla], 'base')
  await add('+Remask-RL', [base, sft, await stage('rl')], '+Remask-SFT')
  return results
}

/** So many of the items, evenly spread. */
function spreadOver<T>(items: readonly T[], most: number): T[] {
  const step = Math.max(1, items.length / most)
  return items.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step))
}

/** How each model answers, in the order of the table. */
const ways: ReadonlyMap<string, readonly Way[]> = new Map([
  ['base', [byProbability]],
  ['+SFT', [byProbability]],
  ['+Remask-SFT', [byProbability, ...remasking]],
  ['+Remask-RL', remasking.slice(0, 1)],
])

/** What an earlier call wrote, `undefined` where there is nothing. */
async function readIfThere(path: string): Promise<{ key: string; scores: Found } | undefined> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  return isThere ? JSON.parse(await readFile(path, 'utf8')) : undefined
}

function spread(numbers: readonly number[], digits: number): string {
  const known = numbers.filter((value) => Number.isFinite(value))
  if (known.length === 0) return '-'
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length
  const deviation = Math.sqrt(
    known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, known.length - 1),
  )
  return `${mean.toFixed(digits)} (${deviation.toFixed(digits)})`
}

function tableOf(found: Found): string {
  const head = ['model', 'source', 'steps', 'seeds', ...columns, ...calibrated]
  const order = [...ways.keys()]
  const sorted = found.toSorted((a, b) => order.indexOf(a.model) - order.indexOf(b.model))
  const keys = [...new Set(sorted.map(({ model, way, steps }) => JSON.stringify([model, way, steps])))]
  const rows = keys.map((key) => {
    const same = found.filter(({ model, way, steps }) => JSON.stringify([model, way, steps]) === key)
    const [first] = same
    const digits = {
      'valid, %': 1,
      evaluations: 1,
      'remasks per block': 2,
      'tokens/s': 0,
      AUROC: 3,
      'AUROC of probability': 3,
    }
    return [
      first?.model ?? '',
      first?.way ?? '',
      String(first?.steps ?? ''),
      String(same.length),
      ...columns.map((column) =>
        spread(
          same.map(({ numbers }) => numbers[column]),
          digits[column],
        ),
      ),
      ...calibrated.map((_, index) =>
        spread(
          same.map(({ calibration }) => calibration[index] ?? Number.NaN),
          3,
        ),
      ),
    ]
  })
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, index) => (index < 2 ? '---' : '---:')).join('|')}|`, ...rows.map(line)].join(
    '\n',
  )
}

/** Puts the text between the marks of a Markdown file, which must be there. */
async function writeBetween(path: string, text: string): Promise<void> {
  const [start, end] = ['<!-- measured: sudoku -->', '<!-- /measured: sudoku -->']
  const page = await readFile(path, 'utf8')
  const [before, rest] = [page.split(start)[0], page.split(end)[1]]
  if (before === undefined || rest === undefined || before === page)
    throw new Error(`${path}: expected ${start} and ${end}`)
  await writeFile(path, `${before}${start}\n\n${text}\n\n${end}${rest}`)
}

async function stepsOf(): Promise<string> {
  const [base, sft, rl] = [await stage('base'), await stage('sft'), await stage('rl')]
  return `${base.recipe.steps} steps of base, then ${sft.recipe.steps} of either SFT, then ${rl.recipe.steps} updates of RL; ${base.recipe.batchRows} rows a step`
}

await mkdir(values.folder, { recursive: true })
const found: Found = []
for (const seed of seeds) {
  found.push(...(await run(seed)))
  await writeFile(join(values.folder, 'table.json'), `${JSON.stringify(found, undefined, 2)}\n`)
}
const table = tableOf(found)
process.stdout.write(`${table}\n`)
if (values.markdown !== undefined) {
  const optional = (['rows', 'puzzles'] as const)
    .map((name) => (values[name] ? ` --${name} ${values[name]}` : ''))
    .join('')
  const command = `node build/examples/sudoku/table.js --seeds ${values.seeds} --share ${values.share}${optional} --markdown ${values.markdown}`
  const note = `Seeds ${seeds.join(', ')}: mean (standard deviation); ${await stepsOf()}.`
  await writeBetween(values.markdown, `\`\`\`sh\n${command}\n\`\`\`\n\n${note}\n\n${table}`)
}
