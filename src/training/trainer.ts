// Trainer: the loop of optimizer steps; one native call a step, everything it decides is decided here.

import { join } from 'node:path'
import type { CommonRecipe, Recipe, RecipeOptions } from '../config.js'
import { isMergeError, MergeError } from '../errors.js'
import type { MergeFigures } from '../merge/mergeTask.js'
import { MergeModel, sessionOf } from '../model.js'
import { parseConfig } from '../parseConfig.js'
import { writeFolder, writeJson } from '../savedFolder.js'
import type { Corruption } from '../text/corruption.js'
import { type BatchPosition, batches, type Dataset, firstPosition, prefetched } from './batches.js'
import { type BestSoFar, bestStill, newBest } from './best.js'
import type { FoundCheckpoint } from './checkpoint.js'
import { type StepReport, stepReport } from './report.js'
import { loadCheckpoint, type ModelKind, type ResumeOptions } from './resume.js'
import { RunFolder } from './runFolder.js'
import type { Sample } from './sample.js'
import { positionOf, type RunPosition } from './schedule.js'
import type { Figures, Task, TrainableModel } from './task.js'
import { optimizerName, stateName, stateOf } from './trainerState.js'

export type { Dataset } from './batches.js'
export type { StepReport } from './report.js'
export type { ResumeOptions } from './resume.js'

/** How a run goes; what is learned stands in the recipe. */
export interface RunOptions<M = MergeModel> {
  /** Aborted: the run rejects with its reason between two steps; what was learned stays, and `save` still works. */
  readonly signal?: AbortSignal
  /** Makes the draft of examples that have none of their own, anew in every epoch. */
  readonly corruption?: Corruption
  /** Asked every `evaluateEvery` steps and at the end; what it finds goes into the report. */
  readonly evaluate?: (model: M) => Promise<Readonly<Record<string, number>>>
  /** Asked together with `evaluate`: held-out texts on their way through the model, for people who read the run. */
  readonly samples?: (model: M) => Promise<readonly Sample[]>
  /**
   * Where metrics.jsonl, TensorBoard's event files and, every `saveEvery` steps and at the end, checkpoints go. One
   * trainer at a time; lines, events and checkpoints of steps that this run has yet to take make room.
   */
  readonly folder?: string | RunFolder
}

/**
 * Trains a model of any family: M, whose recipe has the options O, the values R, and figures F in its reports.
 *
 * @example
 * const trainer = new Trainer(model, { minutes: 8, learningRate: warmupThenLinear(3e-3) })
 * for await (const { step, total, terms } of trainer.run(dataset)) if (terms.recon < 0.01) break
 */
export class Trainer<
  M = MergeModel,
  O = RecipeOptions,
  R extends CommonRecipe = Recipe,
  F extends Figures = MergeFigures,
> {
  readonly model: M & TrainableModel<O, R, F>
  /** How the model is trained. */
  readonly recipe: R
  readonly #task: Task<F>
  readonly #now: () => number
  #position: BatchPosition = firstPosition
  #seconds = 0
  #best: BestSoFar | undefined
  #state: 'idle' | 'running' | 'failed' = 'idle'

  /** `now` is the clock of the run in milliseconds; tests bring their own. */
  constructor(model: M & TrainableModel<O, R, F>, options?: NoInfer<O>, now: () => number = () => performance.now()) {
    this.model = model
    this.recipe = parseConfig(model.recipeSchema, options ?? {}, 'recipe')
    this.#task = model.task(this.recipe)
    this.#now = now
  }

  /**
   * A trainer that goes on from a checkpoint: weights, moments, position in the data, recipe, seconds. `from` is a run's
   * folder (its newest checkpoint that verifies), one checkpoint, or what `latestCheckpoint` found.
   *
   * With the same data, corruption and recipe, every later step has the bits of the run that never stopped. What would
   * change them (threads, device, dtype, another build) is `ERR_CONFIG` unless `allowNondeterministic` allows it. A recipe
   * with `minutes` follows the clock: its seconds so far count on, but no two such runs have equal bits. `kind` is the
   * class of the model, MergeModel by default.
   *
   * @example
   * const trainer = await Trainer.resume('runs/mine')
   * for await (const { step, total } of trainer.run(examples, { folder: 'runs/mine' })) console.log(step, total)
   * await trainer.model.dispose()
   */
  static async resume(from: string | FoundCheckpoint, options?: ResumeOptions): Promise<Trainer>
  static async resume<M, O, R extends CommonRecipe, F extends Figures>(
    from: string | FoundCheckpoint,
    options: ResumeOptions,
    kind: ModelKind<M & TrainableModel<O, R, F>>,
  ): Promise<Trainer<M, O, R, F>>
  static async resume(
    from: string | FoundCheckpoint,
    options: ResumeOptions = {},
    kind: ModelKind<TrainableModel> = MergeModel,
  ): Promise<Trainer<TrainableModel, unknown, CommonRecipe, Figures>> {
    const { model, recipe, state } = await loadCheckpoint(from, options, kind)
    const trainer = new Trainer(model, recipe, options.now)
    trainer.#position = state.position
    trainer.#seconds = state.seconds
    trainer.#best = state.best
    return trainer
  }

  /** What in the recipe is probably not meant, a sentence each; `merge-lm train` prints them. */
  get warnings(): readonly string[] {
    return this.#task.warnings ?? []
  }

  /** Optimizer steps done. */
  get step(): number {
    return this.#position.step
  }

  /** Trains until the recipe's steps or minutes are over; yields a report after each step. Stop early with `break`. */
  async *run(dataset: Dataset, options: RunOptions<M> = {}): AsyncGenerator<StepReport<F>, void, undefined> {
    const { recipe, model } = this
    const task = this.#task
    const session = sessionOf(model)
    this.#begin(options)
    const folder = await this.#open(options.folder)
    const stream = prefetched(
      batches(dataset, {
        tokenizer: model.tokenizer,
        maxLength: model.config.maxLength,
        recipe,
        task,
        corruption: options.corruption,
        start: this.#position,
      }),
    )
    const secondsBefore = this.#seconds
    const startedAt = this.#now()
    const rate = new Rate()
    try {
      while (!this.#isOver()) {
        options.signal?.throwIfAborted()

        // 1) what this step does
        const batch = await stream.next()
        if (batch.done === true)
          throw new MergeError('ERR_INTERNAL', 'batches: expected an endless stream, received its end')
        const { step } = this.#position
        const decision = task.decide(this.#at())

        // 2) the step
        const { drafts, targets, conditions } = batch.value
        const record = await (task.step?.(session, decision, batch.value) ??
          session.trainStep(decision, drafts, targets, conditions))
        this.#position = batch.value.next
        this.#seconds = secondsBefore + (this.#now() - startedAt) / 1000

        // 3) what it did; a number that is not finite ends the run here, before anything is saved
        const facts = {
          step,
          progress: this.#at().progress,
          epoch: batch.value.epoch,
          learningRate: decision.learningRate,
          tokensPerSecond: rate.add(record.tokens ?? 0, this.#seconds - secondsBefore),
          seconds: this.#seconds,
          secondsLeft: this.#secondsLeft(rate.secondsPerStep),
          dropped: batch.value.dropped,
        }
        const report = stepReport(record, facts, task.figures)

        // 4) look and keep; the line comes first, so that no checkpoint lacks a line of its past
        const checkpoint = this.#checkpointDue(folder)
        const found = await this.#evaluation(options)
        const best = this.#bestAfter(found, folder)
        const complete = {
          ...report,
          ...found,
          ...(checkpoint === undefined ? {} : { checkpoint }),
          ...(best === undefined ? {} : { best }),
        }
        await folder?.append(complete)
        // Before the checkpoint of the step, which knows of it.
        if (best !== undefined) await folder?.saveBest(this.step, (to) => this.#writeFiles(to))
        if (checkpoint !== undefined) await folder?.saveCheckpoint(this.step, recipe.keep, (to) => this.#writeFiles(to))
        yield complete
      }
    } catch (error) {
      if (error instanceof MergeError && error.code === 'ERR_NONFINITE') this.#state = 'failed'
      throw error
    } finally {
      if (this.#state === 'running') this.#state = 'idle'
      await stream.return()
      await task.end?.()
      await folder?.finish()
      if (folder !== options.folder) await folder?.[Symbol.asyncDispose]()
    }
  }

  /** Writes a checkpoint: the model's files, optimizer.safetensors and trainer.json. `MergeModel.load` reads it too. */
  async save(folder: string): Promise<void> {
    await writeFolder(folder, { kind: 'checkpoint', step: this.step }, (temporary) => this.#writeFiles(temporary))
  }

  async #writeFiles(folder: string): Promise<void> {
    if (this.#state === 'failed') {
      throw new MergeError('ERR_NONFINITE', `checkpoint: step ${this.step} was not finite; its state is not saved`)
    }
    // Weights can leave the range of their type in the very step whose loss and gradient were finite; the engine writes
    // none that did, so the last good checkpoint is never pushed out by a bad one.
    try {
      await this.model.writeFiles(folder)
      await sessionOf(this.model).save(join(folder, optimizerName), 'optimizer')
    } catch (cause) {
      if (!isMergeError(cause, 'ERR_NONFINITE')) throw cause
      this.#state = 'failed'
      throw new MergeError('ERR_NONFINITE', `checkpoint of step ${this.step}: ${cause.message}; it is not saved`, {
        cause,
      })
    }
    const best = this.#best === undefined ? {} : { best: this.#best }
    const state = { position: this.#position, seconds: this.#seconds, recipe: this.recipe, ...best }
    await writeJson(folder, stateName, stateOf(state, this.model.config))
  }

  #checkpointDue(folder: RunFolder | undefined): string | undefined {
    const { saveEvery } = this.recipe
    return saveEvery > 0 && this.#isDue(saveEvery) ? folder?.checkpointOf(this.step) : undefined
  }

  async #evaluation({ evaluate, samples }: RunOptions<M>): Promise<Pick<StepReport, 'evaluation' | 'samples'>> {
    const { evaluateEvery } = this.recipe
    if (evaluateEvery === 0 || !this.#isDue(evaluateEvery)) return {}
    return {
      ...(evaluate === undefined ? {} : { evaluation: await evaluate(this.model) }),
      ...(samples === undefined ? {} : { samples: await samples(this.model) }),
    }
  }

  // Where the best checkpoint goes, if this step's evaluation is the best so far.
  #bestAfter({ evaluation }: Pick<StepReport, 'evaluation'>, folder: RunFolder | undefined): string | undefined {
    if (this.recipe.best === undefined || evaluation === undefined) return undefined
    const best = newBest(this.recipe.best, { step: this.step, evaluation }, this.#best)
    if (best === undefined) return undefined
    this.#best = best
    return folder?.best
  }

  #isDue(every: number): boolean {
    return this.step % every === 0 || this.#isOver()
  }

  #begin({ evaluate, folder }: RunOptions<M>): void {
    if (this.recipe.best !== undefined && (evaluate === undefined || folder === undefined)) {
      const lacks = evaluate === undefined ? 'an evaluation to judge by' : 'a folder to keep it in'
      throw new MergeError('ERR_CONFIG', `recipe.best: expected ${lacks}, received none`)
    }
    if (this.#state === 'running')
      throw new MergeError('ERR_INPUT', 'run: expected one run at a time, received a second')
    if (this.#state === 'failed')
      throw new MergeError('ERR_NONFINITE', `run: step ${this.step} was not finite; load an earlier state`)
    this.#state = 'running'
  }

  async #open(given: string | RunFolder | undefined): Promise<RunFolder | undefined> {
    let folder: RunFolder | undefined
    try {
      folder = typeof given === 'string' ? await RunFolder.open(given) : given
      await folder?.start(this.step)
      this.#best = bestStill(this.#best, this.recipe.best, await folder?.bestStep())
      return folder
    } catch (error) {
      this.#state = 'idle'
      if (folder !== given) await folder?.[Symbol.asyncDispose]()
      throw error
    }
  }

  // By steps or by the clock, whichever is further.
  #at(): RunPosition {
    const { steps, minutes } = this.recipe
    const bySteps = steps === undefined ? 0 : positionOf(this.step, steps).progress
    const byClock = minutes === undefined ? 0 : this.#seconds / (60 * minutes)
    return { step: this.step, progress: Math.min(1, Math.max(bySteps, byClock)) }
  }

  #isOver(): boolean {
    return this.#at().progress >= 1
  }

  #secondsLeft(secondsPerStep: number): number {
    const { steps, minutes } = this.recipe
    const bySteps = steps === undefined ? Number.POSITIVE_INFINITY : (steps - this.step) * secondsPerStep
    const byClock = minutes === undefined ? Number.POSITIVE_INFINITY : 60 * minutes - this.#seconds
    return Math.max(0, Math.min(bySteps, byClock))
  }
}

// Tokens per second and seconds per step, over about the last 20 steps.
class Rate {
  secondsPerStep = 0
  #tokensPerStep = 0
  #lastSeconds = 0
  #steps = 0

  add(tokens: number, seconds: number): number {
    this.#steps++
    const weight = Math.max(1 / this.#steps, 0.05)
    this.#tokensPerStep += weight * (tokens - this.#tokensPerStep)
    this.secondsPerStep += weight * (seconds - this.#lastSeconds - this.secondsPerStep)
    this.#lastSeconds = seconds
    return this.secondsPerStep > 0 ? this.#tokensPerStep / this.secondsPerStep : 0
  }
}
