// Types of toolchain.mjs.
import type { Machine } from './libtorch.mjs'

/** One tool of the build; `problem` says what is wrong with it and `mend` what to do. */
export interface Tool {
  readonly name: string
  /** Whether a build is impossible without it. */
  readonly needed: boolean
  readonly version?: string
  readonly problem?: string
  readonly mend?: string
}

export function inspectTools(machine: Machine): Tool[]
