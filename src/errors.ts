// MergeError: every error this package throws, with a closed code.

/**
 * What went wrong, as a closed choice:
 *
 * - `ERR_CONFIG` an option is missing, misspelt or out of range
 * - `ERR_INPUT` a text, file or data set cannot be used
 * - `ERR_SHAPE` lengths or dimensions do not fit together
 * - `ERR_DEVICE` the device is absent or failed
 * - `ERR_MEMORY` not enough memory
 * - `ERR_NONFINITE` a NaN or an infinity appeared
 * - `ERR_CHECKPOINT` a saved model is incomplete, damaged or of another kind
 * - `ERR_DISPOSED` the object was disposed before the call
 * - `ERR_ABORTED` the caller aborted
 * - `ERR_INTERNAL` a promise of our own was broken; please report it
 */
export type ErrorCode = (typeof errorCodes)[number]

/** All error codes. */
export const errorCodes = [
  'ERR_CONFIG',
  'ERR_INPUT',
  'ERR_SHAPE',
  'ERR_DEVICE',
  'ERR_MEMORY',
  'ERR_NONFINITE',
  'ERR_CHECKPOINT',
  'ERR_DISPOSED',
  'ERR_ABORTED',
  'ERR_INTERNAL',
] as const

/** What else an error can carry. */
export interface MergeErrorOptions {
  /** The error that led to this one. */
  readonly cause?: unknown
  /** Facts for programs: paths, keys, numbers. */
  readonly details?: Readonly<Record<string, unknown>>
}

/**
 * An error of this package. The message names the thing, what was expected and what was received.
 *
 * @example
 * try { await MergeModel.load('runs/missing') } catch (error) {
 *   if (isMergeError(error, 'ERR_CHECKPOINT')) console.error(error.message)
 * }
 */
export class MergeError extends Error {
  override readonly name = 'MergeError'
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: MergeErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }
}

/** True for a {@link MergeError}, and for one with this code if a code is given. */
export function isMergeError(error: unknown, code?: ErrorCode): error is MergeError {
  return error instanceof MergeError && (code === undefined || error.code === code)
}
