// BenchSize: the shapes that are measured: the quickstart's, and the reference size of the paper.

import type { ModelOptions } from '../config.js'
import type { SizeName } from './benchReport.js'

/** A shape that every family takes. */
export interface BenchSize {
  readonly name: SizeName
  readonly layers: number
  readonly width: number
  readonly heads: number
  readonly feedForward: number
  readonly vocabulary: number
  /** Tokens of a draft. */
  readonly length: number
  /** What MERGE alone has. */
  readonly merge: ModelOptions
}

/** examples/quickstart/config.yaml, with about as many tokens as its sentences have. */
const small: BenchSize = {
  name: 'small',
  layers: 4,
  width: 128,
  heads: 4,
  feedForward: 256,
  vocabulary: 317,
  length: 64,
  merge: { maxInsert: 8, localMix: 7, ropeBase: 300, deleter: 'linear', inserter: 'linear' },
}

const reference: BenchSize = {
  name: 'reference',
  layers: 12,
  width: 768,
  heads: 12,
  feedForward: 2048,
  vocabulary: 32_768,
  length: 256,
  merge: { localMix: 0 },
}

/** The size of a name; `tokens` in place of its own length. */
export function benchSize(name: SizeName, tokens?: number): BenchSize {
  const size = name === 'small' ? small : reference
  return tokens === undefined ? size : { ...size, length: tokens }
}
