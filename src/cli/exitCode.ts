// Exit codes: how the process of a command ends, and which error ends it how.

import { isMergeError, type MergeError } from '../errors.js'

/** Every code the command line ends with. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  data: 3,
  checkpoint: 4,
  io: 5,
  nonFinite: 6,
  memory: 8,
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
} as const

/** The signals that end a command in good order. */
export const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What the system says when a disk, a permission or a path is in the way; a missing file is no such thing. */
const systemFaults = new Set([
  ...['EACCES', 'EBUSY', 'EDQUOT', 'EEXIST', 'EFBIG', 'EIO', 'EISDIR', 'EMFILE', 'ENAMETOOLONG'],
  ...['ENFILE', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS'],
])

/** The exit code that belongs to an error; `output` among its details names a file that could not be written. */
export function exitCodeOf(error: unknown): number {
  if (!isMergeError(error)) return hasSystemFault(error) ? exitCodes.io : exitCodes.internal
  switch (error.code) {
    case 'ERR_CONFIG':
    case 'ERR_DEVICE':
      return exitCodes.usage
    case 'ERR_INPUT':
    case 'ERR_SHAPE':
      return 'output' in error.details || hasSystemFault(error.cause) ? exitCodes.io : exitCodes.data
    case 'ERR_CHECKPOINT':
      return hasSystemFault(error.cause) ? exitCodes.io : exitCodes.checkpoint
    case 'ERR_NONFINITE':
      return exitCodes.nonFinite
    case 'ERR_MEMORY':
      return exitCodes.memory
    case 'ERR_ABORTED':
      return signalCode(error)
    case 'ERR_DISPOSED':
    case 'ERR_INTERNAL':
      return exitCodes.internal
    default:
      return error.code satisfies never
  }
}

/** One readable sentence for stderr; the stack only where `MERGE_LM_DEBUG` asks for it. */
export function errorText(error: unknown, debug: boolean): string {
  if (debug) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (isMergeError(error)) return `merge-lm: ${error.code}: ${error.message}`
  const message = error instanceof Error ? error.message : String(error)
  if (hasSystemFault(error)) return `merge-lm: ${message}`
  return `merge-lm: internal error: ${message}; MERGE_LM_DEBUG=1 shows where, please report it`
}

function signalCode(error: MergeError): number {
  const { signal } = error.details
  const name = endingSignals.find((known) => known === signal)
  return exitCodes[name ?? 'SIGINT']
}

function hasSystemFault(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && systemFaults.has(error.code)
}
