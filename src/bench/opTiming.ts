// opTiming: native/op_timing.h from here: milliseconds of an op's fast version and of its reference, in turns.

import { MergeError } from '../errors.js'
import type { NativeAddon } from '../native.js'
import type { Dtype } from './benchReport.js'

/** The ops that have a slow reference, and whether they have a backward pass. */
export const timedOps = [
  ['rmsNorm', true],
  ['swiglu', true],
  ['rope', true],
  ['raggedAttention', true],
  ['cachedAttention', false],
  ['rowMix', true],
  ['rowMeanMax', true],
  ['bernoulliSt', true],
  ['pointerSt', true],
  ['countsSt', true],
] as const

export type TimedOp = (typeof timedOps)[number][0]

/** What an op is timed on; the fields of the native record. */
export interface OpTimingOptions {
  /** `encoderGemms`: the matrices of an encoder alone; it and the two losses of a head have no reference. */
  readonly op: TimedOp | 'encoderGemms' | 'headLoss' | 'headLossWhole'
  readonly rows: number
  /** Tokens of a row. */
  readonly length: number
  readonly width: number
  readonly heads: number
  readonly feedForward: number
  readonly layers: number
  readonly vocabulary: number
  readonly dtype: Dtype
  readonly backward: boolean
  readonly pairs: number
}

/** Times it. */
export async function timeOp(native: Pick<NativeAddon, 'runOp'>, options: OpTimingOptions) {
  const { fast, reference } = await native.runOp('timeOp', { ...options }, {})
  if (fast === undefined || reference === undefined) {
    throw new MergeError('ERR_INTERNAL', 'timeOp: expected two lists of times, received fewer')
  }
  return { fast: Array.from(fast), reference: Array.from(reference) }
}
