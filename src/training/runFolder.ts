// RunFolder: what a run leaves behind: metrics.jsonl, one line a step, and its checkpoints.

import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { MergeError } from '../errors.js'
import { writeFolder } from '../savedFolder.js'
import { rotateCheckpoints, stepFolder } from './checkpoint.js'
import type { StepReport } from './report.js'

/** The folder of a run. */
export class RunFolder {
  readonly folder: string
  readonly #metrics: FileHandle

  private constructor(folder: string, metrics: FileHandle) {
    this.folder = folder
    this.#metrics = metrics
  }

  /** Opens a run's folder, which is made where it is missing. Metrics are added to those that are there. */
  static async open(folder: string): Promise<RunFolder> {
    try {
      await mkdir(join(folder, 'checkpoints'), { recursive: true })
      return new RunFolder(folder, await open(join(folder, 'metrics.jsonl'), 'a'))
    } catch (cause) {
      throw new MergeError('ERR_INPUT', `folder: expected a folder that can be written, received ${folder}`, { cause })
    }
  }

  /** Adds a line to metrics.jsonl. */
  async append(report: StepReport): Promise<void> {
    await this.#metrics.appendFile(`${JSON.stringify(report)}\n`)
  }

  /** Writes the checkpoint of a step, and removes those beyond the newest `keep` that verify. */
  async saveCheckpoint(step: number, keep: number, write: (temporary: string) => Promise<void>): Promise<string> {
    const checkpoints = join(this.folder, 'checkpoints')
    const folder = stepFolder(checkpoints, step)
    await writeFolder(folder, { kind: 'checkpoint', step }, write)
    await rotateCheckpoints(checkpoints, keep)
    return folder
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#metrics.close()
  }
}
