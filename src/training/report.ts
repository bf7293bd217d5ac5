// StepReport: what one optimizer step did, from the engine's record and the run's clock.

import { MergeError } from '../errors.js'
import type { MergeFigures } from '../merge/mergeTask.js'
import type { Sample } from './sample.js'
import type { Figures, ReadNumber } from './task.js'

/** What one optimizer step did; F: the figures of its task, by default those of MERGE. */
export type StepReport<F extends Figures = MergeFigures> = CommonReport & F

/** What the report of every task has. */
export interface CommonReport extends Figures {
  /** Optimizer steps done, this one included. */
  readonly step: number
  /** Share of the run that is over (0..1), by steps or by the clock, whichever is further; schedules follow it. */
  readonly progress: number
  readonly epoch: number
  /** The weighted sum of the terms. */
  readonly total: number
  /** Norm of the gradient before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
  /** Positions that the model saw in this step. */
  readonly tokens: number
  /** Positions per second, over about the last 20 steps. */
  readonly tokensPerSecond: number
  /** Seconds since the run began. */
  readonly seconds: number
  /** Estimated seconds to its end. */
  readonly secondsLeft: number
  /** Seconds inside the native step. */
  readonly nativeSeconds: number
  /** Seconds of the native step outside libtorch: the oracle, and what it decides row by row. */
  readonly hostSeconds: number
  /** Rows left out as too long, since the run began. */
  readonly dropped: number
  /** What `evaluate` found after this step. */
  readonly evaluation?: Readonly<Record<string, number>>
  /** Held-out texts on their way through the model, as it is after this step. */
  readonly samples?: readonly Sample[]
  /** The checkpoint that was written after this step. */
  readonly checkpoint?: string
  /** The best checkpoint, where this step's evaluation is the best so far. */
  readonly best?: string
}

/** What the trainer knows beside the engine's record; `step` counts from 0. */
export type StepFacts = Pick<
  CommonReport,
  'step' | 'progress' | 'epoch' | 'learningRate' | 'seconds' | 'secondsLeft' | 'tokensPerSecond' | 'dropped'
>

/** The report of a step; a number that is not finite is `ERR_NONFINITE`, one that is missing `ERR_INTERNAL`. */
export function stepReport<F extends Figures>(
  record: Readonly<Record<string, number>>,
  facts: StepFacts,
  figures: (number: ReadNumber) => F,
): StepReport<F> {
  const number: ReadNumber = (name) => {
    const value = record[name]
    if (value === undefined)
      throw new MergeError('ERR_INTERNAL', `report of step ${facts.step}: expected ${name}, received nothing`)
    if (Number.isFinite(value)) return value
    throw new MergeError(
      'ERR_NONFINITE',
      `${name} of step ${facts.step}: expected a finite number, received ${value}`,
      {
        details: { step: facts.step, name },
      },
    )
  }
  const total = number('total')
  return {
    ...facts,
    step: facts.step + 1,
    total,
    ...figures(number),
    gradientNorm: number('gradientNorm'),
    tokens: number('tokens'),
    nativeSeconds: number('nativeSeconds'),
    hostSeconds: number('hostSeconds'),
  }
}

/** What `numbersOf` reads; everything else of a report it takes as it comes. */
interface Numbered {
  readonly total: number
  readonly terms: object
  readonly evaluation?: object | undefined
}

/**
 * Every number of a report by its group and name: `loss/total`, `loss/recon`, `train/gateRate`, `evaluation/exact`. The
 * step is where they stand, not one of them; what is left of the run says nothing about the model.
 */
export function numbersOf(report: Numbered): Record<string, number> {
  const { total, terms, evaluation = {}, ...others } = report
  const train = Object.entries(others).filter(([name]) => !places.has(name))
  return {
    ...grouped('loss', Object.entries({ total, ...terms })),
    ...grouped('train', train),
    ...grouped('evaluation', Object.entries(evaluation)),
  }
}

const places = new Set(['step', 'progress', 'secondsLeft'])

function grouped(group: string, entries: readonly (readonly [string, unknown])[]): Record<string, number> {
  const numbers = entries.flatMap(([name, value]) => (typeof value === 'number' ? [[`${group}/${name}`, value]] : []))
  return Object.fromEntries(numbers)
}
