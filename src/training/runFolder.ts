// RunFolder: what a run leaves behind: metrics.jsonl, TensorBoard's event files, checkpoints. One trainer at a time.

import { type FileHandle, mkdir, open, readdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MergeError } from '../errors.js'
import { writeFolder } from '../savedFolder.js'
import { bestFolder, bestStepIn, setBestAside } from './best.js'
import { rotateCheckpoints, setAsideAfter, stepFolder, sweepLeftovers } from './checkpoint.js'
import { cutMetrics, metricsName } from './metrics.js'
import type { CommonReport } from './report.js'
import { RunLock } from './runLock.js'
import { EventFile, tensorboardName } from './tensorboard.js'

/** The folder of a run, held against a second trainer until it is disposed. */
export class RunFolder {
  readonly folder: string
  /** Where its checkpoints are. */
  readonly checkpoints: string
  readonly #lock: RunLock
  readonly #isNew: boolean
  #metrics: FileHandle | undefined
  #events: EventFile | undefined

  private constructor(folder: string, lock: RunLock, isNew: boolean) {
    this.folder = folder
    this.checkpoints = join(folder, 'checkpoints')
    this.#lock = lock
    this.#isNew = isNew
  }

  /** Takes a run's folder, which is made where it is missing, and clears what killed saves left there. */
  static async open(folder: string): Promise<RunFolder> {
    return reached(folder, async () => {
      const made = await mkdir(folder, { recursive: true })
      const run = new RunFolder(folder, await RunLock.take(folder), made !== undefined)
      await sweepLeftovers(folder)
      await sweepLeftovers(run.checkpoints)
      return run
    })
  }

  /** Whether steps were taken here; a run that failed before its first step left nothing worth keeping. */
  async holdsRun(): Promise<boolean> {
    const metrics = await stat(join(this.folder, metricsName)).catch(() => undefined)
    const checkpoints = await readdir(this.checkpoints).catch((): string[] => [])
    return (metrics?.size ?? 0) > 0 || checkpoints.length > 0
  }

  /** Makes the folder ready for the step after `step`: metrics, events and checkpoints of later steps make room. */
  async start(step: number): Promise<void> {
    if (step === 0 && (await this.holdsRun())) {
      throw new MergeError(
        'ERR_CONFIG',
        `folder: expected a new folder, received ${this.folder}, which holds a run; resume it or choose another`,
      )
    }
    await reached(this.folder, async () => {
      await mkdir(this.checkpoints, { recursive: true })
      await setAsideAfter(this.checkpoints, step)
      await setBestAside(this.checkpoints, step)
      const path = join(this.folder, metricsName)
      await cutMetrics(path, step)
      this.#metrics = await open(path, 'a')
      this.#events = await EventFile.open(join(this.folder, tensorboardName), step)
    })
  }

  /** Adds a line to metrics.jsonl and an event for TensorBoard. */
  async append(report: CommonReport): Promise<void> {
    await this.#metrics?.appendFile(`${JSON.stringify(report)}\n`)
    await this.#events?.append(report)
  }

  /** Where the checkpoint of a step goes. */
  checkpointOf(step: number): string {
    return stepFolder(this.checkpoints, step)
  }

  /** Where the best checkpoint goes. */
  get best(): string {
    return bestFolder(this.checkpoints)
  }

  /** The step of the best checkpoint that lies here; `undefined` where there is none. */
  async bestStep(): Promise<number | undefined> {
    return bestStepIn(this.checkpoints)
  }

  /** Writes the best checkpoint so far in the place of the one before it; no rotation removes it. */
  async saveBest(step: number, write: (temporary: string) => Promise<void>): Promise<void> {
    await this.#syncLines()
    await writeFolder(this.best, { kind: 'checkpoint', step }, write)
  }

  /** Writes the checkpoint of a step, and removes those beyond the newest `keep` that verify. */
  async saveCheckpoint(step: number, keep: number, write: (temporary: string) => Promise<void>): Promise<void> {
    await this.#syncLines()
    await writeFolder(this.checkpointOf(step), { kind: 'checkpoint', step }, write)
    await rotateCheckpoints(this.checkpoints, keep)
  }

  /** Ends what `start` began; the folder stays held. */
  async finish(): Promise<void> {
    const [metrics, events] = [this.#metrics, this.#events]
    this.#metrics = undefined
    this.#events = undefined
    await metrics?.close()
    await events?.close()
  }

  // A checkpoint must not outlive the lines of its steps.
  async #syncLines(): Promise<void> {
    await this.#metrics?.datasync()
    await this.#events?.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish()
    await this.#lock[Symbol.asyncDispose]()
    // A run that never began leaves no trace; a folder with anything in it stays.
    if (this.#isNew) await rmdir(this.folder).catch(() => undefined)
  }
}

async function reached<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof MergeError) throw cause
    throw new MergeError('ERR_INPUT', `folder: expected a folder that can be written, received ${folder}`, { cause })
  }
}
