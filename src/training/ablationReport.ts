// AblationReport: what an ablation study found: each variant's runs, and the mean and spread of every figure over the seeds.

import { z } from 'zod'
import type { ModelEvaluation } from './evaluate.js'

const figure = z.number().nullable()
const figures = z.strictObject({
  exact: figure,
  f05: figure,
  overCorrection: figure,
  deleterF1: figure,
  rounds: figure,
  passes: figure,
  tokensPerSecond: figure,
  trainTokensPerSecond: figure,
})

const run = z.strictObject({
  seed: z.int().min(0),
  /** Where the run lies, below the study's folder. */
  folder: z.string(),
  steps: z.int().min(1),
  /** Of training. */
  seconds: z.number().min(0),
  parameters: z.int().min(0),
  figures,
})

const spread = z.strictObject({ mean: figure, deviation: figure, n: z.int().min(0) })
const spreads = z.strictObject({
  exact: spread,
  f05: spread,
  overCorrection: spread,
  deleterF1: spread,
  rounds: spread,
  passes: spread,
  tokensPerSecond: spread,
  trainTokensPerSecond: spread,
})

const variant = z.strictObject({
  name: z.string(),
  title: z.string(),
  changes: z.record(z.string(), z.unknown()),
  runs: z.array(run),
  figures: spreads,
})

/** The schema of ablations.json. */
export const ablationReport = z.strictObject({
  format: z.literal(1),
  version: z.string(),
  /** The command that made it. */
  command: z.string(),
  machine: z.string(),
  budget: z.strictObject({ steps: z.int().optional(), minutes: z.number().optional() }),
  seeds: z.array(z.int()),
  heldOut: z.int(),
  ablations: z.array(z.strictObject({ name: z.string(), title: z.string(), variants: z.array(variant) })),
})

/** The schema of a run's result.json. */
export const ablationRun = run

/**
 * The figures of a run. Shares from 0 to 1: `exact` (exact match), `f05` (token edits, F0.5), `overCorrection` (of finished
 * texts), `deleterF1`. Means over drafts: `rounds`, encoder `passes`. Tokens a second: of the drafts while editing, of
 * all positions while training. `null` where there was nothing to measure.
 */
export type AblationFigures = Readonly<z.output<typeof figures>>
export type FigureName = keyof AblationFigures
export type AblationRun = Readonly<z.output<typeof run>>
export type Spread = Readonly<z.output<typeof spread>>
export type VariantReport = Readonly<z.output<typeof variant>>
export type AblationReport = Readonly<z.output<typeof ablationReport>>

/** The figures of an evaluation. */
export function figuresOf(
  evaluation: ModelEvaluation,
  { trainTokensPerSecond, hasDeleter }: { readonly trainTokensPerSecond: number; readonly hasDeleter: boolean },
): AblationFigures {
  return {
    exact: evaluation.exact.value,
    f05: evaluation.tokenEdits.f05.value,
    overCorrection: evaluation.overCorrection.value,
    // Keep probabilities of a deleter that was never trained mean nothing.
    deleterF1: hasDeleter ? evaluation.deletion.f1.value : null,
    rounds: evaluation.meanRounds.value,
    passes: evaluation.meanEncoderPasses.value,
    tokensPerSecond: evaluation.tokensPerSecond.value,
    trainTokensPerSecond,
  }
}

/** Mean and sample standard deviation of every figure over runs. */
export function spreadOf(runs: readonly AblationRun[]): VariantReport['figures'] {
  const over = (name: FigureName): Spread => spreadOfValues(runs.map((one) => one.figures[name]))
  return {
    exact: over('exact'),
    f05: over('f05'),
    overCorrection: over('overCorrection'),
    deleterF1: over('deleterF1'),
    rounds: over('rounds'),
    passes: over('passes'),
    tokensPerSecond: over('tokensPerSecond'),
    trainTokensPerSecond: over('trainTokensPerSecond'),
  }
}

// A deviation needs two values; where some are missing, n says how many there are.
function spreadOfValues(values: readonly (number | null)[]): Spread {
  const known = values.filter((value) => value !== null)
  const n = known.length
  if (n === 0) return { mean: null, deviation: null, n }
  const mean = known.reduce((sum, value) => sum + value, 0) / n
  if (n === 1) return { mean, deviation: null, n }
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (n - 1)), n }
}
