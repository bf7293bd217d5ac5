// The five losses of the literal profile as plain float64 formulas: the seed's own, with what is needed to run them.
//
// Rows are packed: row r owns [offsets[r], offsets[r + 1]). Every mean over an empty set is 0, and a row without members
// has no part in a mean over rows. Probabilities inside KL are clamped; cross-entropy is taken from logits.

import { bernoulliKl } from './losses.js'
import { clamped, crossEntropy, logSumExp, meanKeep, meanOf, meanOverRows, sigmoid } from './lossParts.js'

/** Logits of the positions of rows, sentinels left out, and the finished rows Y*. M positions, V vocabulary, B rows. */
export interface PositionsInput {
  /** [M x V] */
  readonly logits: ArrayLike<number>
  /** Positions of each row. [B + 1] */
  readonly offsets: ArrayLike<number>
  /** Tokens of Y*, packed. */
  readonly targets: ArrayLike<number>
  /** [B + 1] */
  readonly targetOffsets: ArrayLike<number>
  readonly vocabulary: number
}

/**
 * L_recon: cross-entropy of the last round's logits against Y* position by position, mean over rows of the mean over the
 * |Y*| positions. Positions beyond |Y*| are cut off; one that the row lacks knows nothing and costs log V.
 */
export function literalReconLoss({ logits, offsets, targets, targetOffsets, vocabulary }: PositionsInput): number {
  return meanOverRows(targetOffsets, (row, { start, end }) => {
    const first = offsets[row] ?? 0
    const there = (offsets[row + 1] ?? 0) - first
    return meanOf(end - start, (t) =>
      t < there ? crossEntropy(logits, first + t, vocabulary, targets[start + t] ?? 0, 0) : Math.log(vocabulary),
    )
  })
}

/** The deleter's logits and the gate. N tokens, B rows. */
export interface LiteralCompressionInput {
  /** Logit of p_keep. [N] */
  readonly keepLogits: ArrayLike<number>
  /** [B + 1] */
  readonly offsets: ArrayLike<number>
  /** g of each row, 0..1. [B] */
  readonly gate: ArrayLike<number>
  /** rho: share of tokens that an edit is expected to delete. */
  readonly keepReduction: number
}

/** L_comp: mean over tokens of KL(Ber(p_keep) || Ber(1 - rho g)). */
export function literalCompressionLoss({ keepLogits, offsets, gate, keepReduction }: LiteralCompressionInput): number {
  let sum = 0
  for (let row = 0; row + 1 < offsets.length; row++) {
    const target = 1 - keepReduction * (gate[row] ?? 0)
    for (let token = offsets[row] ?? 0; token < (offsets[row + 1] ?? 0); token++) {
      sum += bernoulliKl(sigmoid(keepLogits[token] ?? 0), target)
    }
  }
  return keepLogits.length === 0 ? 0 : sum / keepLogits.length
}

/** L_ptr: mean over rows of KL(softmax(scores) || uniform over the row's gaps). scores [G], offsets [B + 1]. */
export function literalPointerLoss(scores: ArrayLike<number>, offsets: ArrayLike<number>): number {
  return meanOverRows(offsets, (_, { start, end }) => {
    const uniform = clamped(1 / (end - start))
    const lse = logSumExp(scores, start, end)
    let kl = 0
    for (let gap = start; gap < end; gap++) {
      const p = clamped(Math.exp((scores[gap] ?? 0) - lse))
      kl += p * Math.log(p / uniform)
    }
    return kl
  })
}

/** L_gate: the cost times the mean over rows of g. */
export function literalGateLoss(gateLogits: ArrayLike<number>, gateCost: number): number {
  return gateCost * meanOf(gateLogits.length, (row) => sigmoid(gateLogits[row] ?? 0))
}

/** R_len: mean over rows of the mean of p_keep. keepLogits [N], offsets [B + 1]. */
export function literalLengthLoss(keepLogits: ArrayLike<number>, offsets: ArrayLike<number>): number {
  return meanOverRows(offsets, (_, tokens) => meanKeep(keepLogits, tokens))
}
