// trainRun: an open run to its end, with its progress and its page; stopped by a signal, it saves what was learned.

import { join } from 'node:path'
import { isMergeError, MergeError } from '../errors.js'
import { maskedAccuracy } from '../training/maskedAccuracy.js'
import type { RunFolder } from '../training/runFolder.js'
import type { AnyBaselineRun } from './openBaseline.js'
import { evaluateRun, type OpenRemediRun, type OpenRun } from './openRun.js'
import type { AnyReport, Progress } from './progress.js'
import { runSamples } from './runSamples.js'
import { pageRenewal, writeRunPage } from './writeRunPage.js'

/** A run of any family. */
export type AnyRun = OpenRun | OpenRemediRun | AnyBaselineRun

/** Where a run goes and who watches it. */
export interface RunWatch {
  readonly folder: RunFolder
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Trains and saves the model; gives the last step's report, or nothing where no step was left. */
export async function trainRun(run: AnyRun, { folder, progress, signal }: RunWatch): Promise<AnyReport | undefined> {
  const { trainer, model, corruption } = run
  const canEvaluate =
    run.heldOut.length > 0 &&
    (pretrains(run) || run.heldOut.every(({ source }) => source !== undefined || corruption !== undefined))
  const firstStep = trainer.step
  const renewPage = pageRenewal(folder.folder)
  let last: AnyReport | undefined
  const saveModel = async (): Promise<void> => {
    await model.save(join(folder.folder, 'model'))
    await writeRunPage(folder.folder)
  }
  try {
    const reports = trainer.run(run.train, {
      signal,
      folder,
      ...(corruption === undefined ? {} : { corruption }),
      ...(canEvaluate ? looksOf(run) : {}),
    })
    for await (const report of reports) {
      last = report
      progress.report(report)
      if (report.evaluation !== undefined) await renewPage()
    }
    progress.end()
    await saveModel()
    return last
  } catch (error) {
    progress.end()
    if (!isMergeError(error, 'ERR_ABORTED') || !signal.aborted || trainer.step === 0) throw error
    const checkpoint = folder.checkpointOf(trainer.step)
    if (trainer.step > firstStep && last?.checkpoint !== checkpoint) await trainer.save(checkpoint)
    await saveModel()
    throw new MergeError(
      'ERR_ABORTED',
      `${error.message} after step ${trainer.step}; saved ${checkpoint} and the model`,
      {
        cause: error,
        details: error.details,
      },
    )
  }
}

// What an evaluation finds and shows.
function looksOf(run: AnyRun) {
  if ('evaluate' in run) return { evaluate: run.evaluate }
  if (pretrains(run)) {
    return { evaluate: async () => ({ ...(await maskedAccuracy(run.model, run.heldOut, run.trainer.recipe)) }) }
  }
  return { evaluate: () => evaluateRun(run.model, run), samples: () => runSamples(run.model, run) }
}

// A pretrained encoder names masked tokens; it needs no drafts.
function pretrains(run: AnyRun): boolean {
  return 'task' in run.trainer.recipe && run.trainer.recipe.task === 'pretrain'
}
