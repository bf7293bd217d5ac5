// evaluateEdits and evaluateModel: how well a model edits held-out examples, in short and in full.

import type { BatchOptions } from '../config.js'
import type { DraftText, EditingModel, Editor, EditResult } from '../editor.js'
import { MergeError } from '../errors.js'
import { randomFrom } from '../random.js'
import type { Corruption } from '../text/corruption.js'
import type { Example } from '../text/dataset.js'
import { type Calibration, calibrationOf, type JudgedFill } from './calibration.js'
import {
  type Agreement,
  addAgreement,
  type DeletionScores,
  deletionScores,
  type EditScores,
  editScores,
} from './editScores.js'
import { type Figure, figureOf } from './figure.js'
import { judgedRow } from './judgedRow.js'
import { pace } from './pace.js'
import { refinedRows } from './refinedRows.js'

/** Options of the editing, O, and where drafts come from. */
export type EvaluateOptions<O extends object = BatchOptions> = O & Drafting

export interface Drafting {
  /** Makes the draft of examples that have none of their own, by `corruptionSeed`. */
  readonly corruption?: Corruption
  /** Default 0. */
  readonly corruptionSeed?: number
}

/** Shares from 0 to 1; 0 over an empty set. */
export interface EditEvaluation {
  readonly examples: number
  /** Share of drafts that became exactly the target. */
  readonly exact: number
  /** The same for doing nothing. */
  readonly exactNothing: number
  /** Share of finished texts that were changed although they need no edit: over-correction. */
  readonly cleanDamaged: number
  /** Rounds taken per draft. */
  readonly meanRounds: number
  /** Each draft with its target and what became of it. */
  readonly results: readonly EditedExample[]
}

export interface EditedExample {
  readonly source: string
  readonly target: string
  readonly result: EditResult
}

/** A model's edits measured in full. A share of examples, edits, tokens or fills has their number as its n. */
export interface ModelEvaluation {
  /** Examples that were measured. */
  readonly examples: number
  /** Examples left out because their draft or target has more tokens than a row of this model may. */
  readonly leftOut: number
  /** Share of drafts that became exactly the target; n: examples, as in the next two. */
  readonly exact: Figure
  /** The same for doing nothing. */
  readonly exactNothing: Figure
  /** Share of finished texts that were changed although they need no edit. */
  readonly overCorrection: Figure
  /** The model's edits against the oracle's, by tokens of the model's tokenizer. */
  readonly tokenEdits: EditScores
  /** The same by words. */
  readonly wordEdits: EditScores
  /** The deleter's keep probabilities in round 1, whether the gate was open or not, against the oracle's keep labels. */
  readonly deletion: DeletionScores
  /**
   * Share of filled tokens that are right: those that the oracle, aligning the row after that round with the target,
   * would keep. A fill where none was needed is wrong, too. n: tokens filled, in all rounds.
   */
  readonly fillAccuracy: Figure
  /** Rounds per draft. */
  readonly meanRounds: Figure
  /** Passes of the encoder per draft: those of the batches that its rounds ran in. */
  readonly meanEncoderPasses: Figure
  /** Tokens of the drafts per second, from their first round to their last, without the judging; n: these tokens. */
  readonly tokensPerSecond: Figure
  /** Whether the confidence of these fills can be trusted. */
  readonly calibration: Calibration
}

/** Edits every example's draft, and every target as it is, and counts. */
export async function evaluateEdits<O extends object = BatchOptions>(
  model: EditingModel<O>,
  examples: readonly Example[],
  options?: EvaluateOptions<NoInfer<O>>,
): Promise<EditEvaluation> {
  const { editor, corruption, corruptionSeed } = opened(model, options)
  const pairs = await pairsOf(examples, corruption, corruptionSeed)
  const results = new Map<number, EditedExample>()
  let exact = 0
  let nothing = 0
  let rounds = 0
  let damaged = 0
  for await (const row of refinedRows(editor, pairs, sourceOf)) {
    const result = editor.result(row.draft, row.rounds)
    results.set(row.index, { ...row.item, result })
    if (result.text === row.item.target) exact++
    if (row.item.source === row.item.target) nothing++
    rounds += result.rounds
  }
  for await (const { item, last } of refinedRows(editor, pairs, targetOf)) {
    if (last.text !== item.target) damaged++
  }
  const shareOf = (count: number): number => figureOf(count, pairs.length).value ?? 0
  return {
    examples: pairs.length,
    exact: shareOf(exact),
    exactNothing: shareOf(nothing),
    cleanDamaged: shareOf(damaged),
    meanRounds: shareOf(rounds),
    results: pairs.flatMap((_pair, index) => results.get(index) ?? []),
  }
}

/**
 * Edits every example's draft, and every target as it is, and measures all that can be measured against the oracle. It
 * gives way to the event loop every few milliseconds, however long the list is.
 *
 * @example
 * const { tokenEdits, calibration } = await evaluateModel(model, heldOut, { corruption: cleanUpNoise() })
 * console.log(tokenEdits.f05.value, calibration.ece.value)
 */
export async function evaluateModel<O extends object = BatchOptions>(
  model: EditingModel<O>,
  examples: readonly Example[],
  options?: EvaluateOptions<NoInfer<O>>,
): Promise<ModelEvaluation> {
  const { editor, corruption, corruptionSeed } = opened(model, options)
  const all = await pairsOf(examples, corruption, corruptionSeed)
  const pairs = await fitting(model, editor, all)
  const sums = { exact: 0, nothing: 0, changed: 0, tokens: 0, judged: 0, rounds: 0, passes: 0 }
  let tokenEdits = noAgreement
  let wordEdits = noAgreement
  let deletions = noAgreement
  const fills: JudgedFill[] = []
  const clock = { seconds: 0 }
  for await (const row of timed(refinedRows(editor, pairs, sourceOf), clock)) {
    const { source, target } = row.item
    const judged = judgedRow(model.tokenizer, { ...row, target, keepThreshold: editor.keepThreshold })
    if (row.last.text === target) sums.exact++
    if (source === target) sums.nothing++
    sums.tokens += row.draft.state.tokens.length
    sums.judged += row.rounds[0]?.keep.length ?? 0
    sums.rounds += row.rounds.length
    sums.passes += judged.encoderPasses
    tokenEdits = addAgreement(tokenEdits, judged.tokenEdits)
    wordEdits = addAgreement(wordEdits, judged.wordEdits)
    deletions = addAgreement(deletions, judged.deletions)
    for (const fill of judged.fills) fills.push(fill)
  }
  for await (const { item, last } of refinedRows(editor, pairs, targetOf)) {
    if (last.text !== item.target) sums.changed++
  }
  const calibration = await calibrationOf(fills)
  const perExample = (sum: number): Figure => figureOf(sum, pairs.length)
  return {
    examples: pairs.length,
    leftOut: all.length - pairs.length,
    exact: perExample(sums.exact),
    exactNothing: perExample(sums.nothing),
    overCorrection: perExample(sums.changed),
    tokenEdits: editScores(tokenEdits),
    wordEdits: editScores(wordEdits),
    deletion: deletionScores(deletions, sums.judged),
    fillAccuracy: figureOf(fills.length - calibration.wrong, fills.length),
    meanRounds: perExample(sums.rounds),
    meanEncoderPasses: perExample(sums.passes),
    tokensPerSecond: { value: clock.seconds > 0 ? sums.tokens / clock.seconds : null, n: sums.tokens },
    calibration,
  }
}

interface Pair {
  readonly source: string
  readonly target: string
  readonly condition?: string
}

const sourceOf = ({ source, condition }: Pair): DraftText => behind(condition, source)
const targetOf = ({ target, condition }: Pair): DraftText => behind(condition, target)
const behind = (condition: string | undefined, text: string): DraftText =>
  condition === undefined ? text : { text, condition }
const noAgreement: Agreement = { matched: 0, proposed: 0, wanted: 0 }

async function pairsOf(
  examples: readonly Example[],
  corruption: Corruption | undefined,
  seed: number,
): Promise<Pair[]> {
  const breathe = pace()
  const pairs: Pair[] = []
  for (const { source: own, target, condition } of examples) {
    await breathe()
    const row = pairs.length
    const source = own ?? corruption?.(target, randomFrom(seed, 0, row, 'evaluation'))
    if (source === undefined) {
      throw new MergeError('ERR_INPUT', `example ${row}: expected a source or a corruption, received neither`)
    }
    pairs.push({ source, target, ...(condition === undefined ? {} : { condition }) })
  }
  return pairs
}

// Adds up the time that a generator takes for itself.
async function* timed<T>(source: AsyncIterable<T>, clock: { seconds: number }): AsyncGenerator<T, void, undefined> {
  let since = performance.now()
  for await (const item of source) {
    clock.seconds += (performance.now() - since) / 1000
    yield item
    since = performance.now()
  }
}

// The options are checked by the model that takes them.
function opened(
  model: EditingModel,
  { corruption, corruptionSeed = 0, ...editing }: Drafting = {},
): { editor: Editor; corruption: Corruption | undefined; corruptionSeed: number } {
  return { editor: model.editor(editing), corruption, corruptionSeed }
}

async function fitting({ tokenizer }: EditingModel, editor: Editor, pairs: readonly Pair[]): Promise<Pair[]> {
  const breathe = pace()
  const kept: Pair[] = []
  for (const pair of pairs) {
    await breathe()
    const target = tokenizer.encode(pair.target)
    // Every target is edited, too.
    const fits = (text: string): boolean => editor.fits(tokenizer.encode(text), target)
    if ([pair.source, pair.target, pair.condition ?? ''].every(fits)) kept.push(pair)
  }
  return kept
}
