// trainRun: an open run to its end, with its progress and its page; stopped by a signal, it saves what was learned.

import { join } from 'node:path'
import { isMergeError, MergeError } from '../errors.js'
import { maskedAccuracy } from '../training/maskedAccuracy.js'
import type { RunFolder } from '../training/runFolder.js'
import type { StepReport } from '../training/trainer.js'
import { evaluateRun, type OpenRun } from './openRun.js'
import type { Progress } from './progress.js'
import { runSamples } from './runSamples.js'
import { pageRenewal, writeRunPage } from './writeRunPage.js'

/** Where a run goes and who watches it. */
export interface RunWatch {
  readonly folder: RunFolder
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Trains and saves the model; gives the last step's report, or nothing where no step was left. */
export async function trainRun(run: OpenRun, { folder, progress, signal }: RunWatch): Promise<StepReport | undefined> {
  const { trainer, model, corruption } = run
  const pretrains = trainer.recipe.task === 'pretrain' && run.heldOut.length > 0
  const canEvaluate =
    !pretrains &&
    run.heldOut.length > 0 &&
    run.heldOut.every(({ source }) => source !== undefined || corruption !== undefined)
  const firstStep = trainer.step
  const renewPage = pageRenewal(folder.folder)
  let last: StepReport | undefined
  const saveModel = async (): Promise<void> => {
    await model.save(join(folder.folder, 'model'))
    await writeRunPage(folder.folder)
  }
  try {
    const reports = trainer.run(run.train, {
      signal,
      folder,
      ...(corruption === undefined ? {} : { corruption }),
      ...(pretrains
        ? { evaluate: async (current) => ({ ...(await maskedAccuracy(current, run.heldOut, trainer.recipe)) }) }
        : {}),
      ...(canEvaluate
        ? { evaluate: (current) => evaluateRun(current, run), samples: (current) => runSamples(current, run) }
        : {}),
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
