// fakeSession: a session without an engine; its rounds and steps are plain functions, so that the loops can be tested alone.

import { writeFile } from 'node:fs/promises'
import type { NativeRecord, NativeRound, NativeRows, NativeSession } from '../../src/native.js'
import { packRows } from '../../src/rows.js'

export interface FakeRow {
  readonly tokens: number[]
  readonly locked: number[]
  readonly open: number[]
}

/** What a fake round makes of a row: kept tokens by their index (a mask may be filled by an id), inserted ones by their id. */
export type FakePiece = { keep: number; fill?: number; confidence?: number } | { insert: number; confidence?: number }

export interface FakeBehaviour {
  round?: (row: FakeRow, options: NativeRecord) => FakePiece[]
  train?: (step: NativeRecord, drafts: NativeRows, targets: NativeRows) => Record<string, number>
}

export interface FakeSession extends NativeSession {
  /** The number of rows of each call of refineRound. */
  readonly calls: number[]
  readonly steps: NativeRecord[]
}

const rowsOf = (rows: NativeRows): number[][] =>
  Array.from({ length: rows.offsets.length - 1 }, (_, r) => [
    ...rows.tokens.subarray(rows.offsets[r], rows.offsets[r + 1]),
  ])

/** The report of an ordinary step. */
export const plainReport = {
  total: 1,
  recon: 0.5,
  compression: 0.4,
  pointer: 0.3,
  gate: 0.2,
  length: 0.1,
  gradientNorm: 1,
  gateRate: 0.5,
  keepRate: 0.9,
  tokens: 100,
  targetTokens: 90,
  masks: 10,
  rounds: 1,
  passes: 2,
  fillAccuracy: 0.5,
  keepAccuracy: 0.5,
  countAccuracy: 0.5,
  nativeSeconds: 0.25,
  hostSeconds: 0.125,
}

export function fakeSession(behaviour: FakeBehaviour = {}): FakeSession {
  const calls: number[] = []
  const steps: NativeRecord[] = []
  let disposed = false
  const round = async (
    options: NativeRecord,
    rows: NativeRows,
    locked: Uint8Array,
    open: Uint8Array,
  ): Promise<NativeRound> => {
    await new Promise((resolve) => setImmediate(resolve))
    if (disposed) throw Object.assign(new Error('session: was disposed'), { code: 'ERR_DISPOSED' })
    calls.push(rows.offsets.length - 1)
    const outputs: { tokens: number[]; source: number[]; confidence: number[] }[] = []
    const keep: number[] = []
    let start = 0
    rowsOf(rows).forEach((tokens, r) => {
      const row = {
        tokens,
        locked: [...locked.subarray(start, start + tokens.length)],
        open: [...open.subarray(start + r, start + r + tokens.length + 1)],
      }
      start += tokens.length
      const pieces: FakePiece[] = behaviour.round?.(row, options) ?? tokens.map((_, index) => ({ keep: index }))
      const kept = new Set(pieces.flatMap((piece) => ('keep' in piece ? [piece.keep] : [])))
      keep.push(...tokens.map((_, index) => (kept.has(index) ? 0.875 : 0.25)))
      outputs.push({
        tokens: pieces.map((piece) => ('keep' in piece ? (piece.fill ?? tokens[piece.keep] ?? -1) : piece.insert)),
        source: pieces.map((piece) => ('keep' in piece ? piece.keep : -1)),
        confidence: pieces.map((piece) => piece.confidence ?? ('keep' in piece ? 1 : 0.5)),
      })
    })
    const packed = packRows(outputs.map((output) => Int32Array.from(output.tokens)))
    const count = outputs.length
    return {
      ...packed,
      source: Int32Array.from(outputs.flatMap((output) => output.source)),
      confidence: Float32Array.from(outputs.flatMap((output) => output.confidence)),
      keep: Float32Array.from(keep),
      gate: new Float32Array(count).fill(0.75),
      edited: new Uint8Array(count).fill(1),
      truncated: new Uint8Array(count),
      encoderPasses: 2,
    }
  }
  return {
    calls,
    steps,
    async trainStep(step, drafts, targets) {
      await new Promise((resolve) => setImmediate(resolve))
      steps.push(step)
      return behaviour.train?.(step, drafts, targets) ?? { ...plainReport }
    },
    evaluate: async () => ({ ...plainReport }),
    refineRound: round,
    denoise: async (_, { tokens }) => {
      const ones = new Float32Array(tokens.length).fill(1)
      return { tokens, candidate: tokens, confidence: ones, score: ones, probability: ones }
    },
    remember: async () => undefined,
    forget: async () => undefined,
    nextTokens: async (_, { tokens, offsets }) => ({ tokens, offsets, probability: new Float32Array(tokens.length) }),
    predictLengths: async () => ({ lengths: new Int32Array(0), probability: new Float32Array(0) }),
    policyLogs: async () => ({}),
    policyStep: async () => ({ ...plainReport }),
    inspect: async () => ({}),
    inspectBehind: async () => ({}),
    save: async (path, part) => writeFile(path, `fake ${part}`),
    load: async () => undefined,
    readPieces: async () => undefined,
    writePieces: async () => undefined,
    draw: async () => undefined,
    importWeights: async () => undefined,
    parameters: async () => [
      { name: 'embedding.weight', shape: [10, 4] },
      { name: 'gate.linear.bias', shape: [1] },
    ],
    memory: async () => ({ parameterBytes: 164 }),
    dispose: async () => {
      disposed = true
    },
  }
}
