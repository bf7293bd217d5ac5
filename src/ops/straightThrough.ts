// What the straight-through samplers share: their results, their options, the way to the engine.

import { z } from 'zod'
import { MergeError } from '../errors.js'
import { loadNative, type NativeArrays, type NativeOp, type NativeRecord } from '../native.js'

/** Numbers of either width. float32 runs through the engine's kernels, float64 through its references. */
export type Floats = Float32Array | Float64Array

/** A hard sample, and the smooth function that lends it a gradient. Arrays have the length and the width of the input. */
export interface StraightThrough<A extends Floats = Floats> {
  /** Whole numbers: 0 or 1, or counts. */
  readonly sample: A
  /** The surrogate: what `sample` is the hard version of. */
  readonly relaxed: A
  /** Where an upstream gradient `u` was given: `u * d relaxed / d input`, the gradient that the sample passes on. */
  readonly gradient?: A
}

/** A sample with the noise that decided it, always float64: with it the reference draws the same. */
export type Drawn = StraightThrough & { readonly noise: Float64Array }

const isFloats = (value: unknown): value is Floats => value instanceof Float32Array || value instanceof Float64Array

/** Options of the samplers, piece by piece. */
export const samplerFields = {
  floats: z.custom<Floats>(isFloats, 'expected a Float32Array or a Float64Array'),
  integers: z.custom<Int32Array>((value) => value instanceof Int32Array, 'expected an Int32Array'),
  temperature: z.number('expected a number above 0').gt(0, 'expected a number above 0'),
  counter: z.int('expected a whole number >= 0').min(0, 'expected a whole number >= 0').default(0),
}

/** What decides the noise: it is a function of these three and of the place in the row, alone. */
export interface NoiseOptions {
  /** 0 to 2^53 - 1. Default 0. */
  readonly seed?: number | undefined
  /** Optimizer step. Default 0. */
  readonly step?: number | undefined
  /** Round of the step. Default 0. */
  readonly round?: number | undefined
}

/** One call of a sampler; runs on the engine's thread, never on the event loop. */
export async function runSampler(name: NativeOp, options: NativeRecord, arrays: NativeArrays): Promise<Drawn> {
  const found = await (await loadNative()).runOp(name, options, arrays)
  const floats = (array: string): Floats => {
    const values = found[array]
    if (isFloats(values)) return values
    throw new MergeError('ERR_INTERNAL', `${name}: the engine gave no ${array}`)
  }
  const { noise = new Float64Array() } = found
  if (!(noise instanceof Float64Array)) throw new MergeError('ERR_INTERNAL', `${name}: expected float64 noise`)
  const result = { sample: floats('sample'), relaxed: floats('relaxed'), noise }
  return found.gradient === undefined ? result : { ...result, gradient: floats('gradient') }
}

/** The row offsets of one row, for callers who name none. */
export const oneRow = (length: number): Int32Array => Int32Array.of(0, length)

/** Open members of a row of noisy scores: a closed one has the score -infinity. */
export function openMembers(scores: ArrayLike<number>, start: number, end: number): number[] {
  const open: number[] = []
  for (let index = start; index < end; index++) {
    if ((scores[index] ?? 0) > Number.NEGATIVE_INFINITY) open.push(index)
  }
  return open
}
