// The training suite: tokens a second of an optimizer step of every family, and of the plain PyTorch twin of MERGE's.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MergeError } from '../errors.js'
import { randomFrom } from '../random.js'
import { alignTokens } from '../text/alignment.js'
import { builtInSpecialCount } from '../text/tokenizer.js'
import type { TokenExample } from '../training/task.js'
import { type BenchResult, resultOf } from './benchReport.js'
import { type BenchSize, benchSize } from './benchSize.js'
import { heldMb } from './inferenceResults.js'
import { type LearnerOptions, learners, mergeShape, type OpenLearner, twinName } from './learners.js'
import { opShares } from './opShares.js'
import { missingModules, PeerProcess } from './peerProcess.js'
import { middleOf, pairedRatio, rounded } from './quantiles.js'
import type { BenchSettings } from './suite.js'
import { type Contender, inTurns, type Taken } from './turns.js'

const dtype = 'float32'
const batchCount = 8
/** Steps of a timed call: one alone is a few milliseconds at the small size. */
const stepsPerCall = { small: 4, reference: 1 } as const
const twinPeer = 'PyTorch eager'
/** Of a loss; float32 in another order is 1e-6 of it. */
const lossTolerance = 1e-5

interface TrainingContender extends Contender {
  readonly task: string
  readonly peer: string | null
}

/** Runs the suite in float32, with 16 rows, or fewer where no larger batch was asked for. */
export async function* trainingSuite(settings: BenchSettings): AsyncGenerator<BenchResult, void, undefined> {
  for (const name of settings.sizes) {
    const size = benchSize(name, settings.tokens)
    const rows = Math.min(16, Math.max(...settings.batches))
    settings.say(`training: ${size.name}, ${rows} rows`)
    yield* measureSize(settings, size, rows)
  }
}

async function* measureSize(settings: BenchSettings, size: BenchSize, rows: number) {
  const { threads } = settings
  const options: LearnerOptions = { size, dtype, threads }
  const batches = Array.from({ length: batchCount }, (_, index) => batchOf(size, rows, index))
  const opened: OpenLearner[] = []
  const why = settings.peers ? missingModules(['torch', 'safetensors']) : undefined
  let peer: PeerProcess | undefined
  try {
    const contenders: TrainingContender[] = []
    for (const learner of learners) {
      const model = await learner.open(options)
      opened.push(model)
      const takeTurn = turnOf(model, batches, stepsPerCall[size.name])
      const base = { name: learner.name, task: learner.task, peer: null }
      contenders.push({ ...base, run: takeTurn, heldMb: async () => heldMb(await model.memory()), shares: opShares })
      if (learner.name !== twinName || !settings.peers || why !== undefined) continue
      peer = await startTwin(model, batches, options)
      settings.learnVersions(peer.versions)
      contenders.push(await twinContender(peer, model, batches, { task: learner.task, size }))
    }
    const taken = await inTurns(contenders, settings)
    yield* resultsOf(taken, { size, rows, threads })
    if (why !== undefined) {
      const known = { suite: 'training', family: twinName, size: size.name, batch: rows, dtype } as const
      yield resultOf({ ...known, case: `a step: missing, as ${why}`, peer: twinPeer })
    }
  } finally {
    for (const model of opened) await model.dispose()
    await peer?.dispose()
  }
}

function turnOf(model: OpenLearner, batches: readonly (readonly TokenExample[])[], steps: number) {
  let next = 0
  return async () => {
    let tokens = 0
    for (let step = 0; step < steps; step++) {
      const batch = batches[next++ % batches.length] ?? []
      await model.step(batch)
      tokens += targetTokens(batch)
    }
    return { tokens }
  }
}

async function startTwin(
  model: OpenLearner,
  batches: readonly (readonly TokenExample[])[],
  { size, threads }: LearnerOptions,
): Promise<PeerProcess> {
  const { layers, width, heads, feedForward } = size
  const { localMix = 7, maxInsert = 16, ropeBase = 10_000 } = mergeShape(size)
  const shape = { layers, width, heads, feedForward, localMix, maxInsert, ropeBase, normEpsilon: 1e-5 }
  const folder = await mkdtemp(join(tmpdir(), 'merge-lm-bench-'))
  const peer = await PeerProcess.start('training.py', { ...shape, threads })
  try {
    await model.save(join(folder, 'model'))
    const given = batches.map((batch) => ({
      drafts: batch.map(({ source = none }) => [...source]),
      targets: batch.map(({ target }) => [...target]),
      matches: batch.map(({ source = none, target }) => [...alignTokens(source, target)]),
    }))
    await peer.ask({ batches: given, weights: join(folder, 'model', 'model.safetensors') })
    return peer
  } catch (error) {
    await peer.dispose()
    throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

// Before it may be compared, the twin must find the losses that the engine finds, from the same weights on the same rows,
// step after step: the later ones tell whether it learns alike, too.
async function twinContender(
  peer: PeerProcess,
  model: OpenLearner,
  batches: readonly (readonly TokenExample[])[],
  { task, size }: { readonly task: string; readonly size: BenchSize },
): Promise<TrainingContender> {
  const ask = async (batch: number) => peer.ask({ ...model.record, batch: batch % batches.length })
  for (const [index, batch] of batches.entries()) {
    const [ours, theirs] = [await model.step(batch), Number((await ask(index)).total)]
    if (Math.abs(ours - theirs) <= lossTolerance * Math.abs(ours)) continue
    throw new MergeError(
      'ERR_INTERNAL',
      `bench/peers/training.py: expected the loss ${ours} in step ${index}, received ${theirs}`,
    )
  }
  let next = 0
  return {
    name: twinName,
    task,
    peer: twinPeer,
    async run() {
      let [tokens, seconds, peakMemoryMb] = [0, 0, 0]
      for (let step = 0; step < stepsPerCall[size.name]; step++) {
        const answer = await ask(next)
        tokens += targetTokens(batches[next++ % batches.length] ?? [])
        seconds += answer.seconds
        peakMemoryMb = answer.peakMemoryMb ?? 0
      }
      return { tokens, seconds, peakMemoryMb }
    },
  }
}

const none = new Int32Array(0)
const targetTokens = (batch: readonly TokenExample[]): number =>
  batch.reduce((sum, { target }) => sum + target.length, 0)

// Rows of a quarter of the length up to all of it; a tenth of the tokens is wrong in the draft, a twentieth missing.
function batchOf({ vocabulary, length }: BenchSize, rows: number, index: number): TokenExample[] {
  const random = randomFrom(1, 0, index, 'bench training')
  const word = (): number => builtInSpecialCount + random.integer(vocabulary - builtInSpecialCount)
  return Array.from({ length: rows }, () => {
    const tokens = Math.ceil(length / 4) + random.integer(length - Math.ceil(length / 4) + 1)
    const target = Int32Array.from({ length: tokens }, word)
    const source = Int32Array.from(
      [...target].flatMap((token, place) => {
        const draw = random.next()
        // At least one token stays.
        return draw < 0.05 && place > 0 ? [] : [draw < 0.15 ? word() : token]
      }),
    )
    return { source, target, example: { source: '', target: '' } }
  })
}

interface SizeFacts {
  readonly size: BenchSize
  readonly rows: number
  readonly threads: number
}

function resultsOf(taken: readonly Taken<TrainingContender>[], { size, rows, threads }: SizeFacts): BenchResult[] {
  const twin = taken.find(({ contender }) => contender.peer !== null)
  const steps = stepsPerCall[size.name]
  return taken.map(({ contender, work, times, peakMemoryMb, shares }) => {
    const { median, low, high, samples } = middleOf(times.map((time) => time / steps))
    const isPair = twin !== undefined && contender.name === twinName
    const ratio = isPair ? { timesPeer: rounded(pairedRatio(twin.times, times).median) } : {}
    const figures = { ...ratio, ...shares }
    return resultOf({
      suite: 'training',
      case: `a step: ${contender.task}, targets of ${Math.ceil(size.length / 4)} to ${size.length} tokens`,
      family: contender.name,
      size: size.name,
      batch: rows,
      dtype,
      threads,
      tokensPerSecond: rounded((1000 * work.tokens) / steps / median),
      latencyMs: rounded(median),
      peakMemoryMb: peakMemoryMb === null ? null : Math.round(peakMemoryMb),
      spread: { low: rounded(low), high: rounded(high), samples },
      peer: contender.peer,
      ...(Object.keys(figures).length === 0 ? {} : { figures }),
    })
  })
}
