// Checkpoints of a run: which folders there are, which is the newest that verifies, and which may go.

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MergeError } from '../errors.js'
import { shown } from '../parseConfig.js'
import { checkpointError, errnoOf, manifestName, verifyFolder } from '../savedFolder.js'

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

/** Keeps the newest `keep` checkpoints that verify and removes older ones, and what a killed save left behind. */
export async function rotateCheckpoints(folder: string, keep: number): Promise<void> {
  let verified = 0
  for (const { path, step } of await stepFolders(folder)) {
    if (verified >= keep) await rm(path, { recursive: true, force: true })
    else if ((await checkpointFault(path, step)) === undefined) verified++
  }
  for (const name of await readdir(folder)) {
    const leftover = /^step-\d+\.(?:tmp|old)-(\d+)-[0-9a-f]+$/.exec(name)
    if (leftover !== null && !isAlive(Number(leftover[1])))
      await rm(join(folder, name), { recursive: true, force: true })
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

// A save that is still running belongs to a process that lives.
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}
