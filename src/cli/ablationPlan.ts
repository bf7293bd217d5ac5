// ablationPlan: from a configuration and what was asked for to the runs of a study, each with its whole configuration.

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type BatchOptions, batchConfig } from '../config.js'
import { MergeError } from '../errors.js'
import { didYouMean } from '../hint.js'
import {
  type Ablation,
  type AblationChanges,
  type AblationVariant,
  ablations as allAblations,
  configured,
} from '../merge/ablations.js'
import { parseConfig } from '../parseConfig.js'
import { type RunConfig, runConfig } from '../training/runConfig.js'
import { packageVersion } from '../version.js'

/** How long each run of a study learns. */
export type Budget = { readonly steps: number } | { readonly minutes: number }

/** What was asked for. */
export interface StudyOptions {
  /** Where the study goes. */
  readonly folder: string
  /** By what the data are known again; another print makes other runs. */
  readonly data: string
  /** Names of ablations; all, if there are none. */
  readonly only?: readonly string[]
  /** Default: that of the configuration. */
  readonly budget?: Budget
  /** Number of seeds: that of the configuration and the ones after it. */
  readonly seeds: number
}

/** A variant's options, whole. */
export interface VariantSettings {
  readonly config: RunConfig
  readonly refine: BatchOptions
}

/** One run of a study. */
export interface PlannedRun extends VariantSettings {
  /** Where it lies below the study's folder; runs with the same options share it. */
  readonly folder: string
  readonly seed: number
}

/** A variant and its runs, one a seed. */
export interface PlannedVariant {
  readonly variant: AblationVariant
  readonly runs: readonly PlannedRun[]
}

export interface PlannedAblation {
  readonly ablation: Ablation
  readonly variants: readonly PlannedVariant[]
}

/** The whole study; `ERR_CONFIG` names every variant whose options are refused. */
export function ablationPlan(config: RunConfig, options: StudyOptions): PlannedAblation[] {
  const { only } = options
  const base = withBudget(config, options.budget)
  const refused: string[] = []
  const plan = chosen(only).map((ablation) => ({
    ablation,
    variants: ablation.variants.map((variant) => {
      try {
        const settings = variantSettings(base, variant.changes)
        return { variant, runs: Array.from({ length: options.seeds }, (_, index) => runOf(settings, options, index)) }
      } catch (error) {
        if (!(error instanceof MergeError)) throw error
        refused.push(`${ablation.name}, ${variant.title}: ${error.message.replaceAll('\n', '; ')}`)
        return { variant, runs: [] }
      }
    }),
  }))
  if (refused.length === 0) return plan
  const others = only === undefined ? ['--only takes those that can be run'] : []
  throw new MergeError('ERR_CONFIG', [...refused, ...others].join('\n'), { details: { refused } })
}

/** The options of a variant: those of the configuration, with its changes. */
export function variantSettings(config: RunConfig, changes: AblationChanges): VariantSettings {
  const { losses, drafts, ...recipe } = { losses: {}, drafts: {}, ...changes.recipe }
  // Evaluations on the way would take time of the budget; a study that is cut short goes on from checkpoints.
  const { saveEvery } = config.recipe
  const kept = { evaluateEvery: 0, best: undefined, keep: 1, saveEvery: saveEvery > 0 ? saveEvery : 500 }
  const whole = {
    ...config,
    model: { ...config.model, ...changes.model },
    recipe: {
      ...config.recipe,
      ...kept,
      ...recipe,
      losses: { ...config.recipe.losses, ...entriesOf(losses) },
      drafts: { ...config.recipe.drafts, ...entriesOf(drafts) },
    },
  }
  return { config: parseConfig(runConfig, whole, ''), refine: parseConfig(batchConfig, changes.refine ?? {}, 'refine') }
}

const entriesOf = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {})

function chosen(only: readonly string[] = []): readonly Ablation[] {
  const reference: Ablation = { name: 'configured', title: 'Reference', variants: [configured] }
  if (only.length === 0) return [reference, ...allAblations]
  const names = allAblations.map(({ name }) => name)
  const unknown = only.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    throw new MergeError(
      'ERR_CONFIG',
      `only: expected names among ${names.join(', ')}, received "${unknown}"${didYouMean(unknown, names)}`,
    )
  }
  return [reference, ...allAblations.filter(({ name }) => only.includes(name))]
}

function withBudget(config: RunConfig, budget: Budget | undefined): RunConfig {
  if (budget === undefined) return config
  const none = { steps: undefined, minutes: undefined }
  return parseConfig(runConfig, { ...config, recipe: { ...config.recipe, ...none, ...budget } }, '')
}

function runOf({ config, refine }: VariantSettings, { folder, data }: StudyOptions, index: number): PlannedRun {
  const { folder: _, ...rest } = config
  const seed = config.recipe.seed + index
  // Known by all that decides its figures, so that variants which come to the same are trained once, and a changed file or
  // version trains anew.
  const identity = JSON.stringify({ rest, refine, data, version: packageVersion() })
  const print = createHash('sha256').update(identity).digest('hex').slice(0, 12)
  const path = join('runs', `${print}-seed-${seed}`)
  return {
    seed,
    folder: path,
    refine,
    config: { ...config, folder: join(folder, path), recipe: { ...config.recipe, seed } },
  }
}
