// ablationStudy: the runs of a study, one after the other; what is finished is never run again.

import { readFile, rm } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { type AblationReport, type AblationRun, ablationRun, figuresOf, spreadOf } from '../training/ablationReport.js'
import { resumableCheckpoint } from '../training/checkpoint.js'
import { evaluateModel } from '../training/evaluate.js'
import { readMetrics } from '../training/metrics.js'
import { RunFolder } from '../training/runFolder.js'
import { packageVersion } from '../version.js'
import type { PlannedAblation, PlannedRun } from './ablationPlan.js'
import { openRun } from './openRun.js'
import type { Progress } from './progress.js'
import { checkData, clearRun, jsonText, writeRecord, writeWhole } from './runRecord.js'
import { trainRun } from './trainRun.js'
import { ablationsName, writeRunPage } from './writeRunPage.js'

/** A study that is under way. */
export interface Study {
  /** Where it goes. */
  readonly folder: string
  readonly plan: readonly PlannedAblation[]
  /** What made it, for whoever reads it. */
  readonly command: string
  readonly threads?: number
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly warn: (message: string) => void
}

/** Runs what is missing, a seed after the other, and writes ablations.json and report.html after each run. */
export async function runStudy(study: Study): Promise<AblationReport> {
  const { folder, plan, progress } = study
  const runs = distinctRuns(plan)
  const results = new Map<string, AblationRun>()
  for (const { run } of runs) {
    const result = await finished(folder, run)
    if (result !== undefined) results.set(run.folder, result)
  }
  for (const [index, { run, name }] of runs.entries()) {
    if (results.has(run.folder)) continue
    progress.note(`\n${name}, seed ${run.seed} (${index + 1} of ${runs.length})`)
    results.set(run.folder, await oneRun(study, run))
    await writeStudy(study, results)
  }
  return writeStudy(study, results)
}

// The first name of a run is the one it is shown with. Seeds come first: a study that is cut short has all variants.
function distinctRuns(plan: readonly PlannedAblation[]): { run: PlannedRun; name: string }[] {
  const found = new Map<string, { run: PlannedRun; name: string }>()
  for (const { ablation, variants } of plan) {
    for (const { variant, runs } of variants) {
      for (const run of runs) {
        if (!found.has(run.folder)) found.set(run.folder, { run, name: `${ablation.name}: ${variant.title}` })
      }
    }
  }
  return [...found.values()].sort((a, b) => a.run.seed - b.run.seed)
}

const resultName = 'result.json'

async function finished(folder: string, run: PlannedRun): Promise<AblationRun | undefined> {
  try {
    return ablationRun.parse(JSON.parse(await readFile(join(folder, run.folder, resultName), 'utf8')))
  } catch {
    return undefined
  }
}

// Trains, measures and leaves a result; where it is cut short it goes on from its checkpoint the next time.
async function oneRun(study: Study, { config, refine, folder: place, seed }: PlannedRun): Promise<AblationRun> {
  const { threads, progress, signal, warn } = study
  await using folder = await RunFolder.open(config.folder)
  const from = await resumableCheckpoint(folder.checkpoints)
  if (from === undefined) await clearRun(config.folder)
  const run = await openRun(config, {
    ...(threads === undefined ? {} : { threads }),
    ...(from === undefined ? {} : { from }),
    allowNondeterministic: true,
    warn,
  })
  await using model = run.model
  if (from !== undefined) await checkData(config.folder, run.print)
  await writeRecord(config, run.print)
  await trainRun(run, { folder, progress, signal })
  const evaluation = await evaluateModel(model, run.heldOut, {
    ...refine,
    ...(run.corruption === undefined ? {} : { corruption: run.corruption }),
    signal,
  })
  const trained = await trainingOf(config.folder)
  const { compression, length } = config.recipe.losses
  const result: AblationRun = {
    seed,
    folder: place,
    steps: trained.steps,
    seconds: trained.seconds,
    parameters: model.parameterCount,
    figures: figuresOf(evaluation, { ...trained, hasDeleter: compression > 0 || length > 0 }),
  }
  await writeWhole(join(config.folder, resultName), jsonText(result))
  // What a finished run would go on from is of no use any more.
  await rm(folder.checkpoints, { recursive: true, force: true })
  return result
}

// Read off the metrics, since a part of the run may have been another process's.
async function trainingOf(folder: string): Promise<{ steps: number; seconds: number; trainTokensPerSecond: number }> {
  let [steps, seconds, tokens] = [0, 0, 0]
  for await (const line of readMetrics(join(folder, 'metrics.jsonl'))) {
    steps = line.step
    seconds = Number(line.seconds)
    tokens += Number(line.tokens)
  }
  return { steps, seconds, trainTokensPerSecond: seconds > 0 ? tokens / seconds : 0 }
}

async function writeStudy(study: Study, results: ReadonlyMap<string, AblationRun>): Promise<AblationReport> {
  const report = reportOf(study, results)
  await writeWhole(join(study.folder, ablationsName), jsonText(report))
  await writeRunPage(study.folder)
  return report
}

function reportOf({ plan, command }: Study, results: ReadonlyMap<string, AblationRun>): AblationReport {
  const planned = plan.flatMap(({ variants }) => variants.flatMap(({ runs }) => runs))
  const { steps, minutes } = planned[0]?.config.recipe ?? {}
  return {
    format: 1,
    version: packageVersion(),
    command,
    machine: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`,
    budget: { ...(steps === undefined ? {} : { steps }), ...(minutes === undefined ? {} : { minutes }) },
    seeds: [...new Set(planned.map(({ seed }) => seed))],
    heldOut: planned[0]?.config.heldOut ?? 0,
    ablations: plan.map(({ ablation, variants }) => ({
      name: ablation.name,
      title: ablation.title,
      variants: variants.map(({ variant, runs }) => {
        const done = runs.flatMap(({ folder }) => results.get(folder) ?? [])
        return {
          name: variant.name,
          title: variant.title,
          changes: { ...variant.changes },
          runs: done,
          figures: spreadOf(done),
        }
      }),
    })),
  }
}
