// Types of libtorch.mjs.

/** The version that is fetched when nothing suitable is there. */
export const PINNED: string
/** Oldest supported minor, for example `2.11`. */
export const OLDEST: string
/** Newest supported minor, for example `2.14`. */
export const NEWEST: string

/** A set-up that cannot work: one readable message. */
export class SetupError extends Error {
  readonly exitCode: number
}

/** What the search touches of a machine. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** `<os>-<cpu>`, for example `linux-x64`. */
  readonly platform: string
  readonly say: (line: string) => void
  readonly run: (
    command: string,
    args: readonly string[],
    options?: { readonly shown?: boolean },
  ) => { readonly ok: boolean; readonly stdout: string; readonly stderr: string }
}

/** What a folder holds; `problem` says why it cannot be used. */
export interface Inspected {
  readonly root?: string
  readonly version?: string
  readonly kind?: 'cpu' | 'cuda'
  readonly problem?: string
}

/** One place that was looked at. */
export interface Candidate extends Inspected {
  /** For example `MERGE_LM_LIBTORCH`, `active Python`, `package cache`. */
  readonly how: string
}

/** A libtorch that passed the gate. */
export interface FoundLibtorch {
  readonly root: string
  readonly version: string
  readonly kind: 'cpu' | 'cuda'
  readonly how: string
}

export function realMachine(): Machine
export function cacheFolder(machine: Machine): string
export function inspectLibtorch(folder: string): Inspected
export function isSupported(version: string): boolean
export function searchLibtorch(machine: Machine): Candidate[]
export function findLibtorch(machine: Machine): FoundLibtorch
export function cudaRequirements(site: string): string[]
export function recordLibtorch(found: FoundLibtorch, path: string): void
