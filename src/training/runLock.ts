// RunLock: one trainer a folder. The lock file names a process by its id and start time, so a dead one holds nothing.
//
// It guards against a second trainer on the same machine; processes of other machines or containers are not seen.

import { randomBytes } from 'node:crypto'
import { link, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import { errnoOf } from '../savedFolder.js'
import { isAlive, lockName } from './checkpoint.js'

const holderSchema = z.object({ pid: z.int().min(1), startTime: z.string(), token: z.string() })
type Holder = z.output<typeof holderSchema>

/** A lock that is held until it is disposed or the process ends. */
export class RunLock {
  readonly #path: string
  readonly #token: string

  private constructor(path: string, token: string) {
    this.#path = path
    this.#token = token
  }

  /** Takes the lock of a folder that exists; `ERR_CONFIG` where another trainer holds it. */
  static async take(folder: string): Promise<RunLock> {
    const path = join(folder, lockName)
    const token = randomBytes(8).toString('hex')
    const own = `${path}.tmp-${process.pid}-${token}`
    const holder: Holder = { pid: process.pid, startTime: (await startTimeOf(process.pid)) ?? '', token }
    try {
      await writeFile(own, `${JSON.stringify(holder)}\n`)
      // A link appears whole and never replaces: whoever makes it holds the lock.
      while (!(await linked(own, path)) && !(await replaced(own, path, folder)));
      await removeClaims(folder)
      return new RunLock(path, token)
    } finally {
      await rm(own, { force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if ((await readHolder(this.#path))?.token === this.#token) await rm(this.#path, { force: true })
  }
}

async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

// Puts the own lock in the place of one whose holder is dead. Only who has claimed that very lock may replace it; the
// claim of a process that died meanwhile is claimed in turn. False: the lock changed, so all begins anew.
async function replaced(own: string, path: string, folder: string): Promise<boolean> {
  const stale = await readHolder(path)
  const claimOf = (holder: Holder | undefined): string => `${path}.claim-${holder?.token ?? 'unreadable'}`
  let claim = claimOf(stale)
  await refuseHeld(stale, folder)
  while (!(await linked(own, claim))) {
    const claimant = await readHolder(claim)
    if (claimant === undefined) return false
    await refuseHeld(claimant, folder)
    claim = claimOf(claimant)
  }
  if (await isStill(path, stale)) {
    await rename(own, path)
    return true
  }
  await rm(claim, { force: true })
  return false
}

async function isStill(path: string, holder: Holder | undefined): Promise<boolean> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  return isThere && (await readHolder(path))?.token === holder?.token
}

// Claims of locks that are no more. Whoever still holds one finds another lock in place and gives up.
async function removeClaims(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(`${lockName}.claim-`)) await rm(join(folder, name), { force: true })
  }
}

async function refuseHeld(holder: Holder | undefined, folder: string): Promise<void> {
  if (holder === undefined || !isAlive(holder.pid)) return
  if ((await startTimeOf(holder.pid)) !== holder.startTime) return
  throw new MergeError(
    'ERR_CONFIG',
    `folder: expected one trainer at a time, received a second; process ${holder.pid} trains in ${folder}`,
    { details: { folder, pid: holder.pid } },
  )
}

// Undefined: no file, or one that a power cut left without its content.
async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return undefined
  }
}

// Field 22 of /proc/<pid>/stat, in clock ticks since the machine started: two processes that share an id differ here.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
async function startTimeOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name of the program, field 2, may hold blanks and parentheses.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}
