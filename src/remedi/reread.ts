// Reread: how sure a model is of every token of a finished answer, block by block, as it was when the block was finished.

import type { NativeSession } from '../native.js'
import { packRows } from '../rows.js'
import type { GenerateConfig } from './generateConfig.js'

/** A finished answer of whole blocks behind its prompt. */
export interface FinishedRow {
  readonly prompt: Int32Array
  readonly answer: Int32Array
}

/** What reading needs of a model. */
export interface RereadContext {
  readonly session: NativeSession
  readonly blockLength: number
  readonly vocabulary: number
}

/** Any number that no other generation of the session has. */
const generation = 2 ** 52 - 1

/** The confidence of each answer's tokens by a source: 0..1, but for logits (any number) and margins (-1..1). */
export async function reread(
  context: RereadContext,
  rows: readonly FinishedRow[],
  confidenceSource: GenerateConfig['confidenceSource'],
): Promise<Float32Array[]> {
  const { session, blockLength, vocabulary } = context
  const found = rows.map(({ answer }) => new Float32Array(answer.length))
  const options = {
    policy: 'rank',
    confidenceSource,
    temperature: 0,
    topP: 1,
    topK: 0,
    orderTemperature: 0,
    vocabulary,
    seed: 0,
  }
  try {
    await remember(
      session,
      rows.map((row, slot) => ({ slot, tokens: row.prompt, start: 0 })),
    )
    const longest = rows.reduce((most, { answer }) => Math.max(most, answer.length), 0)
    for (let begin = 0; begin < longest; begin += blockLength) {
      const blocks = rows.flatMap(({ prompt, answer }, slot) =>
        begin < answer.length
          ? [{ slot, tokens: answer.subarray(begin, begin + blockLength), start: prompt.length + begin }]
          : [],
      )
      const zeros = new Float64Array(blocks.length)
      const packed = cachedRows(blocks)
      const { confidence } = await session.denoise(
        options,
        packed,
        new Uint8Array(packed.tokens.length),
        new Int32Array(0),
        {
          keep: zeros.map(() => blockLength),
          fillThreshold: zeros,
          remaskThreshold: zeros,
          key: zeros,
          draw: zeros,
        },
      )
      blocks.forEach(({ slot }, place) => {
        found[slot]?.set(confidence.subarray(place * blockLength, (place + 1) * blockLength), begin)
      })
      await remember(session, blocks)
    }
  } finally {
    await session.forget(generation, new Int32Array(0))
  }
  return found
}

interface Part {
  readonly slot: number
  readonly tokens: Int32Array
  /** Position of the first token. */
  readonly start: number
}

function cachedRows(parts: readonly Part[]) {
  return {
    generation,
    ...packRows(parts.map(({ tokens }) => tokens)),
    positions: Int32Array.from(parts.flatMap(({ tokens, start }) => Array.from(tokens, (_, index) => start + index))),
    slots: Int32Array.from(parts, ({ slot }) => slot),
  }
}

async function remember(session: NativeSession, parts: readonly Part[]): Promise<void> {
  const read = parts.filter(({ tokens }) => tokens.length > 0)
  if (read.length > 0) await session.remember(cachedRows(read))
}
