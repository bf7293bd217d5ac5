// Checkpoints of a run: which folders there are, which is the newest that verifies, and which may go.

import { randomBytes } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MergeError } from '../errors.js'
import { shown } from '../parseConfig.js'
import { checkpointError, errnoOf, manifestName, verifyFolder } from '../savedFolder.js'

/** The file that holds a run's folder against a second trainer. */
export const lockName = 'lock.json'

/** A checkpoint of a run that verified. */
export interface FoundCheckpoint {
  readonly folder: string
  readonly step: number
  /** Newer ones that were refused, newest first. */
  readonly refused: readonly MergeError[]
}

/** The checkpoint with the highest step that verifies; `undefined` where there is none. */
export async function latestCheckpoint(folder: string): Promise<FoundCheckpoint | undefined> {
  const refused: MergeError[] = []
  for (const { path, step } of await stepFolders(folder)) {
    const error = await checkpointFault(path, step)
    if (error === undefined) return { folder: path, step, refused }
    refused.push(error)
  }
  return undefined
}

/** The same, for a run that wants to go on: checkpoints of which none verifies are `ERR_CHECKPOINT`. */
export async function resumableCheckpoint(folder: string): Promise<FoundCheckpoint | undefined> {
  const found = await latestCheckpoint(folder)
  if (found !== undefined) return found
  const [newest] = await stepFolders(folder)
  if (newest === undefined) return undefined
  const fault = await checkpointFault(newest.path, newest.step)
  throw checkpointError(folder, `no checkpoint verifies; the newest: ${fault?.message ?? 'gone'}`, fault)
}

/** Keeps the newest `keep` checkpoints that verify and removes older ones. */
export async function rotateCheckpoints(folder: string, keep: number): Promise<void> {
  let verified = 0
  for (const { path, step } of await stepFolders(folder)) {
    if (verified >= keep) await rm(path, { recursive: true, force: true })
    else if ((await checkpointFault(path, step)) === undefined) verified++
  }
}

/**
 * Renames checkpoints beyond a step, which a run that goes on from there cannot use: they would outrank the ones it is
 * about to write. Nothing is removed.
 */
export async function setAsideAfter(folder: string, step: number): Promise<void> {
  for (const later of await stepFolders(folder)) {
    if (later.step > step) await rename(later.path, `${later.path}.aside-${randomBytes(4).toString('hex')}`)
  }
}

/**
 * Clears what killed saves left in a folder. What a save had moved out of its way comes back if the new one never took
 * the name. Only for a folder that no other save is writing to: a leftover may carry this process's own id, since ids
 * are used again, in containers above all.
 */
export async function sweepLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => [])
  for (const leftover of names) {
    const [, name, kind, pid] = /^(.+)\.(tmp|old)-(\d+)-[0-9a-f]+$/.exec(leftover) ?? []
    if (name === undefined || (Number(pid) !== process.pid && isAlive(Number(pid)))) continue
    // Another trainer of this process may be asking for the lock.
    if (name === lockName && Number(pid) === process.pid) continue
    if (kind === 'old' && !names.includes(name)) await rename(join(folder, leftover), join(folder, name))
    else await rm(join(folder, leftover), { recursive: true, force: true })
  }
}

/** Name of a step's folder. */
export function stepFolder(folder: string, step: number): string {
  return join(folder, `step-${step}`)
}

async function stepFolders(folder: string): Promise<{ path: string; step: number }[]> {
  const names = await readdir(folder).catch((): string[] => [])
  return names
    .flatMap((name) => {
      const match = /^step-(\d+)$/.exec(name)
      return match === null ? [] : [{ path: join(folder, name), step: Number(match[1]) }]
    })
    .sort((a, b) => b.step - a.step)
}

async function checkpointFault(path: string, step: number): Promise<MergeError | undefined> {
  try {
    const manifest = await verifyFolder(path)
    if (manifest.step === step) return undefined
    return checkpointError(
      path,
      `${manifestName} is of another step: expected ${step}, received ${shown(manifest.step)}`,
    )
  } catch (error) {
    if (error instanceof MergeError) return error
    throw error
  }
}

/** Whether a process of this id runs. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}
