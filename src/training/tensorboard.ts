// TensorBoard: the event files of a run: every number of a step, and the texts of an evaluation.

import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { pace } from './pace.js'
import { type CommonReport, numbersOf } from './report.js'
import type { Sample } from './sample.js'
import { type Summary, startEvent, stepOfEvent, summaryEvent, versionEvent } from './summaryEvent.js'
import { frameBytes, framed, recordsOf } from './tfRecord.js'

/** Name of the folder in a run's folder; `tensorboard --logdir <run>` finds it. */
export const tensorboardName = 'tensorboard'

const fileName = /^events\.out\.tfevents\.(\d+)\./

/** An event file that is being written. */
export class EventFile {
  readonly #file: FileHandle
  readonly #now: () => number

  private constructor(file: FileHandle, now: () => number) {
    this.#file = file
    this.#now = now
  }

  /**
   * Opens a new file for the steps after `step`. Events of later steps, which a run that goes on takes again, are cut off
   * the older files; a reader that has seen them is told to forget them. `now` is the time in milliseconds since 1970.
   */
  static async open(folder: string, step: number, now: () => number = Date.now): Promise<EventFile> {
    await mkdir(folder, { recursive: true })
    const older = await cutEvents(folder, step)
    // Readers take the files in the order of their names, so a clock that was set back must not show.
    const seconds = Math.max(Math.floor(now() / 1000), older + 1)
    const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.${hostname()}.${process.pid}.0`
    const events = new EventFile(await open(join(folder, name), 'ax'), now)
    await events.#write(versionEvent(now() / 1000))
    if (step > 0) await events.#write(startEvent({ wallTime: now() / 1000, step: step + 1 }))
    return events
  }

  /** Adds what a step did. */
  async append(report: CommonReport): Promise<void> {
    await this.#write(summaryEvent({ wallTime: this.#now() / 1000, step: report.step }, summaryOf(report)))
  }

  /** Brings what was written to the disk. */
  async sync(): Promise<void> {
    await this.#file.datasync()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #write(event: Buffer): Promise<void> {
    await this.#file.appendFile(framed(event))
  }
}

/** The scalars and texts of a report: `loss/`, `train/`, `evaluation/` and `samples/`. */
export function summaryOf(report: CommonReport): Summary {
  const { samples = [] } = report
  const scalars = numbersOf(report)
  if (samples.length === 0) return { scalars }
  return {
    scalars,
    texts: Object.fromEntries(samples.map((sample, index) => [`samples/${index + 1}`, markdown(sample)])),
  }
}

// Indented text is shown as it is, whatever signs it holds.
function markdown({ draft, result, target }: Sample): string {
  const block = (name: string, text: string): string => `**${name}**\n\n${text.replace(/^/gm, '    ')}`
  const blocks = [block('draft', draft), block('result', result)]
  return (target === undefined ? blocks : [...blocks, block('target', target)]).join('\n\n')
}

// Cuts each file before its first event of a later step; gives the latest time in a file's name, 0 where there is none.
async function cutEvents(folder: string, step: number): Promise<number> {
  const breathe = pace()
  let latest = 0
  for (const name of await readdir(folder)) {
    const [, seconds] = fileName.exec(name) ?? []
    if (seconds === undefined) continue
    latest = Math.max(latest, Number(seconds))
    const path = join(folder, name)
    const content = await readFile(path)
    let kept = 0
    let events = 0
    for (const event of recordsOf(content)) {
      await breathe()
      if (stepOfEvent(event) > step) break
      kept += event.length + frameBytes
      events++
    }
    // The first event only names the format.
    if (events <= 1) await rm(path)
    else if (kept < content.length) await truncate(path, kept)
  }
  return latest
}
