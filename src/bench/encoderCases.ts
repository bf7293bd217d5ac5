// encoderCases: one pass of the encoder alone, beside its matrices alone and beside PyTorch, full rows and ragged ones.

import { MergeModel, sessionOf } from '../model.js'
import { loadNative } from '../native.js'
import { randomFrom } from '../random.js'
import { packRows } from '../rows.js'
import { idTokenizer } from '../text/idTokenizer.js'
import { builtInSpecial } from '../text/tokenizer.js'
import { type BenchResult, type Dtype, resultOf } from './benchReport.js'
import type { BenchSize } from './benchSize.js'
import { draftsOf } from './families.js'
import { heldMb, type InferenceContender, resultsOf } from './inferenceResults.js'
import { missingOnnx, OnnxPeer, onnxName } from './onnxPeer.js'
import { opShares } from './opShares.js'
import { timeOp } from './opTiming.js'
import { missingModules, PeerProcess } from './peerProcess.js'
import type { BenchSettings } from './suite.js'
import { inTurns } from './turns.js'

const encoder = 'encoder'
const ways = ['eager', 'compile'] as const
const peerOf = { eager: 'PyTorch eager', compile: 'torch.compile' } as const

/** Measures it at one size and type, with the largest batch that was asked for, up to 16. */
export async function* measureEncoders(
  settings: BenchSettings,
  size: BenchSize,
  dtype: Dtype,
): AsyncGenerator<BenchResult, void, undefined> {
  const { threads, say } = settings
  const batch = Math.min(16, Math.max(...settings.batches))
  const { layers, width, heads, feedForward, vocabulary, length } = size
  const tokenizer = idTokenizer({ vocabularySize: vocabulary, special: builtInSpecial })
  const shape = { layers, width, heads, feedForward, localMix: 0, deleter: 'linear', inserter: 'linear' } as const
  const why = settings.peers ? missingModules(['torch']) : undefined
  await using model = await MergeModel.create({ ...shape, maxLength: length, dtype, threads, tokenizer })
  const ofEncoder = { layers, width, heads, feedForward, vocabulary, dtype, threads }
  const absent = new Map(ways.map((way) => [way, why]))
  const peer = settings.peers && why === undefined ? await PeerProcess.start('encoder.py', ofEncoder) : undefined
  if (peer !== undefined) settings.learnVersions(peer.versions)
  try {
    const full = draftsOf(size, batch)
    for (const way of ways) {
      if (peer !== undefined) absent.set(way, await refusalOf(peer, full, way))
    }
    // One row alone is not ragged.
    const cases: [string, Int32Array[]][] = [['full rows', full]]
    if (batch > 1) cases.push(['ragged rows', ragged(full)])
    for (const [name, drafts] of cases) {
      const lengths = drafts.map((draft) => draft.length)
      const task = `one pass, ${name} of ${[...new Set([Math.min(...lengths), Math.max(...lengths)])].join(' to ')} tokens`
      say(`inference: ${size.name}, ${dtype}, encoder, ${name}`)
      const tokens = lengths.reduce((sum, count) => sum + count, 0)
      const common = { family: encoder, case: task }
      const rows = packRows(drafts)
      const { onnx, whyNot } = await startOnnx(peer === undefined ? undefined : ofEncoder, drafts, dtype)
      const contenders: InferenceContender[] = [
        {
          ...common,
          name: encoder,
          peer: null,
          async run() {
            await sessionOf(model).inspect(rows, ['gate'])
            return { tokens, passes: 1 }
          },
          heldMb: async () => heldMb(await model.memory()),
          shares: opShares,
        },
        gemmContender({ ...common, family: 'its matrices alone' }, { size, dtype, tokens }),
        ...ways.flatMap((way) =>
          peer === undefined || absent.get(way) !== undefined ? [] : [passContender(peer, drafts, way, common)],
        ),
        ...(onnx === undefined ? [] : [onnxContender(onnx.process, tokens, common)]),
      ]
      try {
        yield* resultsOf(await inTurns(contenders, settings), { size, dtype, batch, threads })
      } finally {
        await onnx?.dispose()
      }
      if (onnx !== undefined) settings.learnVersions(onnx.process.versions)
      const missing: [string, string | undefined][] = ways.map((way) => [peerOf[way], absent.get(way)])
      for (const [name, reason] of settings.peers ? [...missing, [onnxName, whyNot] as const] : []) {
        if (reason === undefined) continue
        const known = { suite: 'inference', family: encoder, size: size.name, batch, dtype } as const
        yield resultOf({ ...known, case: `${task}: missing, as ${reason}`, peer: name })
      }
    }
  } finally {
    await peer?.dispose()
  }
}

type Common = Pick<InferenceContender, 'family' | 'case'>

// Why the peer cannot go this way; undefined where it can.
async function refusalOf(
  peer: PeerProcess,
  drafts: readonly Int32Array[],
  way: (typeof ways)[number],
): Promise<string | undefined> {
  try {
    await peer.ask({ rows: drafts.map((draft) => [...draft]), way })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

// What runs the exported encoder, or why nothing does; nothing at all without a PyTorch that exports it.
async function startOnnx(
  encoder: Readonly<Record<string, unknown>> | undefined,
  drafts: readonly Int32Array[],
  dtype: Dtype,
): Promise<{ readonly onnx?: OnnxPeer; readonly whyNot?: string }> {
  const whyNot = missingOnnx(dtype)
  if (encoder === undefined || whyNot !== undefined) return { whyNot: whyNot ?? 'no PyTorch exports the encoder' }
  try {
    return { onnx: await OnnxPeer.start(encoder, drafts) }
  } catch (error) {
    return { whyNot: error instanceof Error ? error.message : String(error) }
  }
}

function onnxContender(peer: PeerProcess, tokens: number, common: Common): InferenceContender {
  return {
    ...common,
    name: onnxName,
    peer: onnxName,
    async run() {
      const { seconds, peakMemoryMb } = await peer.ask({})
      return { tokens, passes: 1, seconds, ...(peakMemoryMb === undefined ? {} : { peakMemoryMb }) }
    },
  }
}

function passContender(
  peer: PeerProcess,
  drafts: readonly Int32Array[],
  way: (typeof ways)[number],
  common: Common,
): InferenceContender {
  const rows = drafts.map((draft) => [...draft])
  const tokens = rows.reduce((sum, row) => sum + row.length, 0)
  return {
    ...common,
    name: peerOf[way],
    peer: peerOf[way],
    ...(way === 'eager' ? { measure: 'timesEager' } : {}),
    async run() {
      const { seconds, peakMemoryMb } = await peer.ask({ rows, way })
      return { tokens, passes: 1, seconds, ...(peakMemoryMb === undefined ? {} : { peakMemoryMb }) }
    },
  }
}

// The ceiling: what the same tokens cost if there were nothing but the matrices.
function gemmContender(
  common: Common,
  { size, dtype, tokens }: { readonly size: BenchSize; readonly dtype: Dtype; readonly tokens: number },
): InferenceContender {
  const { width, heads, feedForward, layers, vocabulary } = size
  return {
    ...common,
    name: common.family,
    peer: null,
    measure: 'timesMatrices',
    async run() {
      const shape = { rows: 1, length: tokens, width, heads, feedForward, layers, vocabulary }
      const { fast } = await timeOp(await loadNative(), {
        op: 'encoderGemms',
        ...shape,
        dtype,
        backward: false,
        pairs: 1,
      })
      return { tokens, seconds: (fast[0] ?? Number.NaN) / 1000 }
    },
  }
}

// From a sixteenth of the length to all of it, evenly spread, in any order.
function ragged(drafts: readonly Int32Array[]): Int32Array[] {
  const random = randomFrom(1, 0, 0, 'bench ragged')
  const places = random.shuffle(drafts.map((_, row) => row))
  return drafts.map((draft, row) => {
    const share = (places[row] ?? 0) / Math.max(1, drafts.length - 1)
    return draft.slice(0, Math.ceil(draft.length * (1 / 16 + (15 / 16) * share)))
  })
}
