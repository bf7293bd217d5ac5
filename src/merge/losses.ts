// The five losses of the aligned profile as plain float64 formulas: the specification that the engine's terms are tested against.
//
// L = w_recon L_recon + w_compression L_comp + w_pointer L_ptr + w_gate L_gate + w_length R_len (specification, section 5).
// Rows are packed: row r owns [offsets[r], offsets[r + 1]). Every mean over an empty set is 0, and a row without tokens has
// no part in a mean over rows. Cross-entropies are taken from logits; probabilities inside KL are clamped.

import type { LossWeights } from '../config.js'
import {
  binaryCrossEntropy,
  clamped,
  crossEntropy,
  logSumExp,
  meanKeep,
  meanOf,
  meanOverRows,
  sigmoid,
} from './lossParts.js'

export { probabilityFloor } from './lossParts.js'

/** One number for each of the five terms, unweighted. */
export type LossTerms = Readonly<Record<keyof LossWeights, number>>

/** The weighted sum of the terms. */
export function totalLoss(terms: LossTerms, weights: LossWeights): number {
  return (
    weights.recon * terms.recon +
    weights.compression * terms.compression +
    weights.pointer * terms.pointer +
    weights.gate * terms.gate +
    weights.length * terms.length
  )
}

/** The filler's logits at the masks. M masks, V vocabulary. */
export interface ReconInput {
  /** [M x V] */
  readonly logits: ArrayLike<number>
  /** The oracle's token of each mask. [M] */
  readonly targets: ArrayLike<number>
  readonly vocabulary: number
  /** Share of the target that is spread over the whole vocabulary (0..1). */
  readonly labelSmoothing: number
}

/** L_recon of one round: mean over masks of the cross-entropy against the oracle's tokens. */
export function reconLoss({ logits, targets, vocabulary, labelSmoothing }: ReconInput): number {
  return meanOf(targets.length, (mask) => crossEntropy(logits, mask, vocabulary, targets[mask] ?? 0, labelSmoothing))
}

/** The deleter's logits at the tokens of X. N tokens, B rows. */
export interface KeepInput {
  /** Logit of p_keep. [N] */
  readonly keepLogits: ArrayLike<number>
  /** 1 where the oracle keeps the token. [N] */
  readonly keepTargets: ArrayLike<number>
  /** [B + 1] */
  readonly offsets: ArrayLike<number>
}

export interface CompressionInput extends KeepInput {
  /** g of each row, 0..1; a constant here, the gate has its own loss. [B] */
  readonly gate: ArrayLike<number>
  /** rho: share of tokens an edit is expected to delete (H9). */
  readonly keepReduction: number
  /** Weight of the KL (H9). */
  readonly keepKl: number
}

/**
 * L_comp of one round: mean over tokens of BCE(p_keep, keep), plus `keepKl` times the mean over rows of
 * KL(Ber(mean p_keep) || Ber(1 - rho g)).
 */
export function compressionLoss(input: CompressionInput): number {
  const { keepLogits, keepTargets, gate, keepReduction, keepKl } = input
  const bce = meanOf(keepLogits.length, (token) => binaryCrossEntropy(keepLogits[token] ?? 0, keepTargets[token] ?? 0))
  const kl = meanOverRows(input.offsets, (row, tokens) => {
    return bernoulliKl(meanKeep(input.keepLogits, tokens), 1 - keepReduction * (gate[row] ?? 0))
  })
  return bce + keepKl * kl
}

/** The inserter's outputs at the gaps. G gaps, C = K_max + 1 counts, B rows. */
export interface PointerInput {
  /** [G x C] */
  readonly countLogits: ArrayLike<number>
  /** The oracle's count of each gap. [G] */
  readonly counts: ArrayLike<number>
  /** Gap scores alpha. [G] */
  readonly scores: ArrayLike<number>
  /** Gaps of each row. [B + 1] */
  readonly offsets: ArrayLike<number>
  /** Smoothing of the count targets (H10). */
  readonly countSmoothing: number
  /** Weight of the entropy bonus (H10). */
  readonly scoreEntropy: number
}

/** L_ptr of one round: mean over gaps of the counts' cross-entropy, minus the weighted mean over rows of entropy(softmax alpha). */
export function pointerLoss(input: PointerInput): number {
  const { countLogits, counts, scores, countSmoothing, scoreEntropy } = input
  const gaps = counts.length
  const classes = gaps === 0 ? 0 : countLogits.length / gaps
  const counting = meanOf(gaps, (gap) => crossEntropy(countLogits, gap, classes, counts[gap] ?? 0, countSmoothing))
  const entropy = meanOverRows(input.offsets, (_, { start, end }) => {
    const lse = logSumExp(scores, start, end)
    let sum = 0
    for (let gap = start; gap < end; gap++) {
      const logProbability = (scores[gap] ?? 0) - lse
      sum -= Math.exp(logProbability) * logProbability
    }
    return sum
  })
  return counting - scoreEntropy * entropy
}

export interface GateInput {
  /** Logit of g. [B] */
  readonly gateLogits: ArrayLike<number>
  /** g*: 1 where the oracle deletes anything. [B] */
  readonly gateTargets: ArrayLike<number>
  /** c: cost of opening the gate (H11). */
  readonly gateCost: number
}

/** L_gate of one round: mean over rows of BCE(g, g*) + c g. */
export function gateLoss({ gateLogits, gateTargets, gateCost }: GateInput): number {
  return meanOf(gateLogits.length, (row) => {
    const logit = gateLogits[row] ?? 0
    return binaryCrossEntropy(logit, gateTargets[row] ?? 0) + gateCost * sigmoid(logit)
  })
}

/** R_len of one round: mean over rows of (mean p_keep - oracle's keep share)^2 (H12). */
export function lengthLoss(input: KeepInput): number {
  return meanOverRows(input.offsets, (_, tokens) => {
    const { start, end } = tokens
    const share = meanOf(end - start, (index) => input.keepTargets[start + index] ?? 0)
    return (meanKeep(input.keepLogits, tokens) - share) ** 2
  })
}

/** Losses of several rounds become one: their mean over the rounds that ran (H25). */
export function meanOverRounds(rounds: readonly LossTerms[]): LossTerms {
  const mean = (term: keyof LossTerms): number => meanOf(rounds.length, (round) => rounds[round]?.[term] ?? 0)
  return {
    recon: mean('recon'),
    compression: mean('compression'),
    pointer: mean('pointer'),
    gate: mean('gate'),
    length: mean('length'),
  }
}

/** KL(Ber(p) || Ber(q)), both clamped to [1e-4, 1 - 1e-4]. */
export function bernoulliKl(p: number, q: number): number {
  const a = clamped(p)
  const b = clamped(q)
  return a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b))
}
