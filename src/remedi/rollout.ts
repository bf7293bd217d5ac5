// Rollouts: denoising runs of many rows at once, with everything that Remask-RL must know of them (specification, section 4).

import type { NativeSession, NativeTrajectory } from '../native.js'
import { randomFrom } from '../random.js'
import { packRows } from '../rows.js'
import type { PolicyRecipe } from './recipe.js'

/** What a run must know of the model. */
export interface RolloutContext {
  readonly session: NativeSession
  readonly blockLength: number
  readonly mask: number
  /** Ids that end an answer. */
  readonly endOfText: ReadonlySet<number>
  /** Ids that are never written. */
  readonly forbidden: Int32Array
  /** Ids below it may be written. */
  readonly vocabulary: number
  /** Most tokens of a row. */
  readonly maxLength: number
  readonly recipe: Pick<
    PolicyRecipe,
    'seed' | 'stepsPerBlock' | 'temperature' | 'orderTemperature' | 'policy' | 'maxTokens'
  >
}

/** One row's run. A positions of its answer. */
export interface Rollout {
  readonly prompt: Int32Array
  /** Whole blocks; the first end-of-text may stand anywhere in the last one. */
  readonly answer: Int32Array
  /** The answer before each step: masks, where its block has yet to begin. [S][A] */
  readonly states: readonly Int32Array[]
  /** Place of each position in the ordered set of the step, -1 outside. [S][A] */
  readonly ranks: readonly Int32Array[]
  /** Visible tokens that were masked again. */
  readonly remasks: number
}

/** Positions of a block of `length` that are visible after each of `steps` steps; what does not divide comes last. */
export function visibleAfter(length: number, steps: number): number[] {
  const each = Math.floor(length / steps)
  const rest = length - each * steps
  return Array.from({ length: steps }, (_, step) => (step + 1) * each + Math.max(0, step + 1 - (steps - rest)))
}

/** Runs the rows to their ends. `step` is that of the optimizer: other runs of the same prompts come out otherwise. */
export async function rollouts(
  prompts: readonly Int32Array[],
  step: number,
  context: RolloutContext,
): Promise<Rollout[]> {
  const { session, blockLength, recipe } = context
  const generation = firstGeneration + step
  const rows = prompts.map((prompt, index) => newRow(prompt, index, context))
  try {
    await remember(context, generation, rows, (row) => row.prompt)
    for (let active = rows.filter((row) => row.blocksLeft > 0); active.length > 0; ) {
      // 1) the block, step by step
      for (const row of active) row.block = new Int32Array(blockLength).fill(context.mask)
      for (const [index, keep] of visibleAfter(blockLength, recipe.stepsPerBlock).entries()) {
        const isLast = index === recipe.stepsPerBlock - 1
        await denoise(active, { context, generation, step, index, keep: isLast ? blockLength : keep, isLast })
      }
      // 2) it is finished: the row ends here, or goes on behind it
      for (const row of active) {
        row.answer.push(...row.block)
        row.blocksLeft = row.block.some((token) => context.endOfText.has(token)) ? 0 : row.blocksLeft - 1
      }
      active = active.filter((row) => row.blocksLeft > 0)
      await remember(context, generation, active, (row) => row.block)
    }
  } finally {
    await session.forget(generation, new Int32Array(0))
  }
  return rows.map((row) => finished(row, recipe.stepsPerBlock, context.mask))
}

/** The record of these runs for the engine's policy step. */
export function trajectoryOf(
  runs: readonly Rollout[],
  advantages: readonly number[],
  { forbidden, recipe }: Pick<RolloutContext, 'forbidden' | 'recipe'>,
): NativeTrajectory {
  const steps = [...Array(recipe.stepsPerBlock).keys()]
  const joined = (part: 'states' | 'ranks'): Int32Array =>
    packRows(steps.flatMap((step) => runs.map((run) => run[part][step] ?? new Int32Array(0)))).tokens
  return {
    ...packRows(runs.map(({ prompt, answer }) => Int32Array.from([...prompt, ...answer]))),
    prompts: Int32Array.from(runs, ({ prompt }) => prompt.length),
    steps: recipe.stepsPerBlock,
    states: joined('states'),
    ranks: joined('ranks'),
    forbidden,
    columns: { advantage: Float64Array.from(advantages) },
  }
}

// No generation of a caller's own counts that far.
const firstGeneration = 2 ** 52

interface Row {
  readonly index: number
  readonly prompt: Int32Array
  readonly answer: number[]
  block: Int32Array
  blocksLeft: number
  /** By step, of all blocks so far. */
  readonly states: number[][]
  readonly ranks: number[][]
}

function newRow(prompt: Int32Array, index: number, { blockLength, maxLength, recipe }: RolloutContext): Row {
  const fitting = Math.floor((maxLength - prompt.length) / blockLength)
  const wanted = recipe.maxTokens === undefined ? fitting : Math.ceil(recipe.maxTokens / blockLength)
  const lists = () => Array.from({ length: recipe.stepsPerBlock }, (): number[] => [])
  const blocksLeft = Math.max(1, Math.min(fitting, wanted))
  return { index, prompt, answer: [], block: new Int32Array(0), blocksLeft, states: lists(), ranks: lists() }
}

async function remember(
  { session }: RolloutContext,
  generation: number,
  rows: readonly Row[],
  tokensOf: (row: Row) => Int32Array,
): Promise<void> {
  const read = rows.filter((row) => tokensOf(row).length > 0)
  if (read.length === 0) return
  const positions = read.flatMap((row) => {
    const tokens = tokensOf(row)
    const start = tokens === row.prompt ? 0 : row.prompt.length + row.answer.length - tokens.length
    return Array.from(tokens, (_, index) => start + index)
  })
  const slots = Int32Array.from(read, ({ index }) => index)
  await session.remember({ generation, ...packRows(read.map(tokensOf)), positions: Int32Array.from(positions), slots })
}

interface Moment {
  readonly context: RolloutContext
  readonly generation: number
  /** Of the optimizer. */
  readonly step: number
  /** Of the denoising. */
  readonly index: number
  readonly keep: number
  readonly isLast: boolean
}

async function denoise(rows: readonly Row[], moment: Moment): Promise<void> {
  const { context, generation, step, index, keep, isLast } = moment
  const { session, blockLength, mask, recipe } = context
  const isCoins = recipe.policy === 'bernoulli'
  // Coins are thrown here: the engine proposes a token for every position.
  const options = {
    policy: 'rank',
    confidenceSource: 'ups',
    temperature: recipe.temperature,
    topP: 1,
    topK: 0,
    orderTemperature: isCoins ? 0 : recipe.orderTemperature,
    vocabulary: context.vocabulary,
    seed: recipe.seed,
  }
  const column = (numberOf: (row: Row) => number): Float64Array => Float64Array.from(rows, numberOf)
  const blocks = packRows(rows.map(({ block }) => block))
  const fate = blocks.tokens.map((token) => (recipe.policy === 'masked' && token !== mask ? 1 : 0))
  const result = await session.denoise(
    options,
    {
      generation,
      ...blocks,
      positions: Int32Array.from(
        rows.flatMap((row) => Array.from(row.block, (_, at) => row.prompt.length + row.answer.length + at)),
      ),
      slots: Int32Array.from(rows, (row) => row.index),
    },
    Uint8Array.from(fate),
    context.forbidden,
    {
      keep: column(() => (isCoins ? blockLength : keep)),
      fillThreshold: column(() => 0),
      remaskThreshold: column(() => 0),
      key: column((row) => step * mostRows + row.index),
      draw: column((row) => row.answer.length * mostSteps + index),
    },
  )
  rows.forEach((row, place) => {
    const at = place * blockLength
    const scores = Array.from(result.score.subarray(at, at + blockLength))
    const candidates = result.candidate.slice(at, at + blockLength)
    const next = isCoins ? thrown(candidates, scores, { row, moment }) : result.tokens.slice(at, at + blockLength)
    row.states[index]?.push(...row.block)
    row.ranks[index]?.push(...ranksOf(row.block, next, scores, isLast ? 'plackett-luce' : recipe.policy, mask))
    row.block = next
  })
}

// A coin for each position: shown where it falls on sigmoid(h / tau); in the last step all are shown.
function thrown(
  candidates: Int32Array,
  scores: readonly number[],
  { row, moment: { context, step, index, isLast } }: { row: Row; moment: Moment },
): Int32Array {
  const { recipe, mask } = context
  const random = randomFrom(recipe.seed, step, row.index * mostSteps + index, `coins ${row.answer.length}`)
  return candidates.map((token, at) => {
    const probability = 1 / (1 + Math.exp(-(scores[at] ?? 0) / recipe.orderTemperature))
    return random.next() < probability || isLast ? token : mask
  })
}

// Kept positions by falling score; where only masks are ranked, those that were visible have no place.
function ranksOf(
  before: Int32Array,
  after: Int32Array,
  scores: readonly number[],
  policy: PolicyRecipe['policy'],
  mask: number,
): Int32Array {
  const kept = [...after.keys()].filter((at) => after[at] !== mask && (policy !== 'masked' || before[at] === mask))
  kept.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
  const ranks = new Int32Array(after.length).fill(-1)
  kept.forEach((at, rank) => {
    ranks[at] = rank
  })
  return ranks
}

function finished(row: Row, steps: number, mask: number): Rollout {
  const answer = Int32Array.from(row.answer)
  const states = row.states.map((state) => Int32Array.from(state))
  let remasks = 0
  for (let step = 1; step < steps; step++) {
    states[step]?.forEach((token, at) => {
      if (token === mask && states[step - 1]?.[at] !== mask) remasks++
    })
  }
  return { prompt: row.prompt, answer, states, ranks: row.ranks.map((ranks) => Int32Array.from(ranks)), remasks }
}

const mostRows = 65_536
const mostSteps = 65_536
