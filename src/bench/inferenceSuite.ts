// The inference suite: every family and its peers on the same drafts, in turns, at each size, type and batch.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BenchResult, type Dtype, resultOf } from './benchReport.js'
import { type BenchSize, benchSize } from './benchSize.js'
import { measureColdStart } from './coldStart.js'
import { measureEncoders } from './encoderCases.js'
import { draftsOf, families } from './families.js'
import type { Family, FamilyOptions, OpenFamily } from './family.js'
import { heldMb, type InferenceContender, resultsOf } from './inferenceResults.js'
import { opShares } from './opShares.js'
import { missingModules, PeerProcess } from './peerProcess.js'
import type { BenchSettings } from './suite.js'
import { inTurns } from './turns.js'

/** Runs the suite. */
export async function* inferenceSuite(settings: BenchSettings): AsyncGenerator<BenchResult, void, undefined> {
  for (const name of settings.sizes) {
    const size = benchSize(name, settings.tokens)
    yield* measureColdStart(settings, size)
    for (const dtype of settings.dtypes) {
      yield* measureFamilies(settings, size, dtype)
      yield* measureEncoders(settings, size, dtype)
    }
  }
}

const generatePeer = 'Hugging Face generate'

async function* measureFamilies(settings: BenchSettings, size: BenchSize, dtype: Dtype) {
  const { threads, rounds, say, batches } = settings
  const folder = await mkdtemp(join(tmpdir(), 'merge-lm-bench-'))
  const why = settings.peers ? missingModules(['torch', 'transformers']) : undefined
  const peer =
    settings.peers && why === undefined
      ? await PeerProcess.start('gpt.py', {
          ...size,
          merge: undefined,
          maxLength: 2 * size.length,
          dtype,
          threads,
          folder,
        })
      : undefined
  if (peer !== undefined) settings.learnVersions(peer.versions)
  const options: FamilyOptions = { size, dtype, threads, rounds, ...(peer === undefined ? {} : { gptFolder: folder }) }
  const opened: { family: Family; model: OpenFamily }[] = []
  try {
    for (const family of families) opened.push({ family, model: await family.open(options) })
    for (const batch of batches) {
      say(`inference: ${size.name}, ${dtype}, batch ${batch}`)
      const drafts = draftsOf(size, batch)
      const ours = opened.map(({ family, model }) => ({
        name: family.name,
        family: family.name,
        case: family.task(options),
        peer: null,
        ...(family.name === 'GPT' ? { measure: 'timesGpt' } : {}),
        run: () => model.run(drafts),
        heldMb: async () => heldMb(await model.memory()),
        shares: opShares,
      }))
      const gpt = families.find(({ name }) => name === 'GPT')
      const task = gpt?.task(options) ?? ''
      const theirs = peer === undefined ? [] : [generateContender(peer, drafts, { task, newTokens: size.length })]
      const taken = await inTurns<InferenceContender>([...ours, ...theirs], settings)
      yield* resultsOf(taken, { size, dtype, batch, threads })
      if (why !== undefined) {
        const known = { suite: 'inference', family: 'GPT', size: size.name, batch, dtype } as const
        yield resultOf({ ...known, case: `${task}: missing, as ${why}`, peer: generatePeer })
      }
    }
  } finally {
    for (const { model } of opened) await model.dispose()
    await peer?.dispose()
    await rm(folder, { recursive: true, force: true })
  }
}

function generateContender(
  peer: PeerProcess,
  drafts: readonly Int32Array[],
  { task, newTokens }: { readonly task: string; readonly newTokens: number },
): InferenceContender {
  const rows = drafts.map((draft) => [...draft])
  return {
    name: generatePeer,
    family: 'GPT',
    case: task,
    peer: generatePeer,
    async run() {
      const { seconds, peakMemoryMb } = await peer.ask({ rows, newTokens })
      const memory = peakMemoryMb === undefined ? {} : { peakMemoryMb }
      return { tokens: drafts.length * newTokens, passes: newTokens, seconds, ...memory }
    },
  }
}
