// writeRunPage: report.html of a run's or a study's folder, made anew from the files there.

import { readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { MergeError } from '../errors.js'
import { type AblationReport, ablationReport } from '../training/ablationReport.js'
import { metricsName } from '../training/metrics.js'
import { readHistory } from './runHistory.js'
import { runPage } from './runPage.js'
import { writeWhole } from './runRecord.js'

/** Name of the page in a folder. */
export const pageName = 'report.html'
/** Name of what an ablation study found, in its folder. */
export const ablationsName = 'ablations.json'
/** Where a study of a run's configuration goes, unless it is told otherwise. */
export const studyName = 'ablations'

/** Writes the page and gives its path; `ERR_INPUT` for a folder that holds neither a run nor a study. */
export async function writeRunPage(folder: string): Promise<string> {
  const ablations = (await readStudy(folder)) ?? (await readStudy(join(folder, studyName)))
  const hasMetrics = await stat(join(folder, metricsName)).then(
    () => true,
    () => false,
  )
  if (!hasMetrics && ablations === undefined) {
    throw new MergeError(
      'ERR_INPUT',
      `run: expected a folder with ${metricsName} or ${ablationsName}, received ${folder}`,
    )
  }
  const config = await readFile(join(folder, 'config.json'), 'utf8').catch(() => undefined)
  const page = runPage({
    title: basename(resolve(folder)),
    history: hasMetrics ? await readHistory(folder) : { series: new Map() },
    ...(config === undefined ? {} : { config }),
    ...(ablations === undefined ? {} : { ablations }),
  })
  const path = join(folder, pageName)
  await writeWhole(path, page)
  return path
}

/**
 * Gives a function that renews the page, unless the time before that it took was more than a fiftieth of the time since:
 * the metrics of a long run take long to read. `now` is a clock in milliseconds.
 */
export function pageRenewal(folder: string, now: () => number = () => performance.now()): () => Promise<void> {
  let due = Number.NEGATIVE_INFINITY
  return async () => {
    const start = now()
    if (start < due) return
    await writeRunPage(folder)
    due = now() + 50 * (now() - start)
  }
}

async function readStudy(folder: string): Promise<AblationReport | undefined> {
  const text = await readFile(join(folder, ablationsName), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return ablationReport.parse(JSON.parse(text))
  } catch (cause) {
    const message = `${join(folder, ablationsName)}: expected what merge-lm ablate writes, received something else`
    throw new MergeError('ERR_INPUT', message, { cause })
  }
}
