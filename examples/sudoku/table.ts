// The table of RemeDi's stages: base, vanilla SFT, Remask-SFT and Remask-RL on the same puzzles and steps, answered with
// several confidence sources and steps per block; mean and spread over seeds.
//
// node build/examples/sudoku/table.js [--seeds 1,2,3 --share 1 --threads 2 --markdown docs/results.md]

import { mkdir, readFile, writeFile } from 'node:fs/promises'
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
    share: { type: 'string', default: '1' },
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

const columns = ['valid, %', 'evaluations', 'remasks per block', 'tokens/s', 'AUROC', 'AUROC of probability'] as const
const calibrated = ['ECE', 'ECE scaled', 'Brier', 'Brier scaled'] as const

async function stage(name: string): Promise<RemediRunConfig> {
  const path = fileURLToPath(new URL(`../../../examples/sudoku/${name}.yaml`, import.meta.url))
  const config = await readAnyRunConfig(path)
  if (config.family !== 'remedi') throw new Error(`${path}: expected a RemeDi run`)
  return config
}

/** Trains a model by a stage's recipe, shortened to the share that the command line names. */
async function learn(model: RemediModel, config: RemediRunConfig, seed: number, examples: readonly Example[]) {
  const steps = Math.max(1, Math.round((config.recipe.steps ?? 1) * Number(values.share)))
  const trainer = new Trainer(model, { ...config.recipe, steps, seed })
  for await (const report of trainer.run([...examples])) {
    if (report.step % 100 === 0)
      say(`  ${config.recipe.task} ${report.step} of ${steps}: ${JSON.stringify(report.terms)}`)
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
  const found: (Score & { readonly calibration: readonly number[] })[] = []
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

async function run(seed: number) {
  say(`seed ${seed}`)
  const [base, sft, rl] = [await stage('base'), await stage('sft'), await stage('rl')]
  const train = await openDataset(base.data)
  const test = await openDataset(base.evaluation.data ?? base.data)
  const tokenizer = trainCharacterTokenizer(
    train.flatMap(({ source = '', target }) => [source, target]),
    { caseShift: false },
  )
  const folderOf = (name: string): string => join(values.folder, `${name}-${seed}`)
  const threads = Number(values.threads)
  const results = []
  const model = await RemediModel.create({ ...base.model, tokenizer, seed, threads })
  await learn(model, base, seed, train)
  results.push(...(await score(model, 'base', [byProbability], seed, test)))
  await model.save(folderOf('base'))
  await model.dispose()

  // Vanilla SFT: the steps, data and learning rates of Remask-SFT, without wrong tokens and without a confidence.
  if (sft.recipe.task !== 'sft') throw new Error('sft.yaml: expected task sft')
  const { wrongRatio: _r, wrongTokens: _w, confidenceWeight: _c, confidenceSmoothing: _s, ...shared } = sft.recipe
  const vanilla: RemediRunConfig = { ...sft, recipe: { ...shared, task: 'base' } }
  for (const [name, config, from, ways] of [
    ['+SFT', vanilla, 'base', [byProbability]],
    ['+Remask-SFT', sft, 'base', [byProbability, ...remasking]],
    ['+Remask-RL', rl, '+Remask-SFT', remasking.slice(0, 1)],
  ] as const) {
    const learner = await RemediModel.load(folderOf(from), { threads })
    await learn(learner, config, seed, train)
    results.push(...(await score(learner, name, ways, seed, test)))
    await learner.save(folderOf(name))
    await learner.dispose()
  }
  return results
}

type Found = Awaited<ReturnType<typeof run>>

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
  const head = ['model', 'source', 'steps', ...columns, ...calibrated]
  const keys = [...new Set(found.map(({ model, way, steps }) => JSON.stringify([model, way, steps])))]
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

await mkdir(values.folder, { recursive: true })
const found: Found = []
for (const seed of seeds) {
  found.push(...(await run(seed)))
  await writeFile(join(values.folder, 'table.json'), `${JSON.stringify(found, undefined, 2)}\n`)
}
const table = tableOf(found)
process.stdout.write(`${table}\n`)
if (values.markdown !== undefined) {
  const command = `node build/examples/sudoku/table.js --seeds ${values.seeds} --share ${values.share} --markdown ${values.markdown}`
  const note = `Seeds ${seeds.join(', ')}: mean (standard deviation); share ${values.share} of the steps of the three files.`
  await writeBetween(values.markdown, `\`\`\`sh\n${command}\n\`\`\`\n\n${note}\n\n${table}`)
}
