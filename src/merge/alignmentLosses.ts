// Reconstruction losses that align a row's positions with Y* by themselves, as plain float64 formulas: AXE, OAXE, CTC.
//
// A row has m positions, P_j the softmax of position j, and n tokens y. Each loss is the mean over rows of (the row's loss
// / max(1, n)); a row with neither positions nor tokens has no part, and without rows the loss is 0. `blank` is the token
// of a position that says nothing. Logarithms are taken from logits, without a clamp.

import { cheapestAssignment } from './assignment.js'
import type { PositionsInput } from './literalLosses.js'
import { logSumExp } from './lossParts.js'

export interface AlignmentInput extends PositionsInput {
  /** The token of a position that says nothing; CTC takes none of them in a target. */
  readonly blank: number
}

export interface AxeInput extends AlignmentInput {
  /** What a skipped token costs, in units of its cross-entropy; above 0. */
  readonly penalty: number
}

/**
 * Aligned cross-entropy (Ghazvininejad et al. 2020, section 3): the cheapest monotone alignment, over aligning token i with
 * position j (-log P_j(y_i)), skipping a position (-log P_j(blank)) and skipping a token (-penalty log P_j(y_i), j the last
 * position before it, the first where there is none). Without positions each token costs penalty log V.
 */
export function axeLoss(input: AxeInput): number {
  const { penalty, blank, vocabulary } = input
  return meanOfRows(input, ({ tokens, positions, price }) => {
    if (positions === 0) return penalty * tokens.length * Math.log(vocabulary)
    // before[j]: cost with the tokens up to the last one and j positions done
    let before: number[] = [0]
    for (let j = 1; j <= positions; j++) before.push((before[j - 1] ?? 0) + price(j - 1, blank))
    for (const token of tokens) {
      const row: number[] = [(before[0] ?? 0) + penalty * price(0, token)]
      for (let j = 1; j <= positions; j++) {
        const align = (before[j - 1] ?? 0) + price(j - 1, token)
        const skipPosition = (row[j - 1] ?? 0) + price(j - 1, blank)
        const skipToken = (before[j] ?? 0) + penalty * price(j - 1, token)
        row.push(Math.min(align, skipPosition, skipToken))
      }
      before = row
    }
    return before[positions] ?? 0
  })
}

/**
 * Order-agnostic cross-entropy (Du et al. 2021, section 3): the cheapest assignment of tokens to positions, each at most
 * once. A position left over costs -log P_j(blank), a token left over log V.
 */
export function oaxeLoss(input: AlignmentInput): number {
  const { blank, vocabulary } = input
  return meanOfRows(input, ({ tokens, positions, price }) => {
    const size = Math.max(tokens.length, positions)
    // The smaller side is filled up: with blanks, or with positions that know nothing.
    const cost = (token: number, position: number): number =>
      position < positions ? price(position, tokens[token] ?? blank) : Math.log(vocabulary)
    const assigned = cheapestAssignment(size, size, cost)
    return assigned.reduce((sum, position, token) => sum + cost(token, position), 0)
  })
}

/**
 * Connectionist temporal classification (Graves et al. 2006): -log of the probability of all paths that collapse to Y*. A
 * row with fewer positions than tokens and repeats has no path, and no part in the mean.
 */
export function ctcLoss(input: AlignmentInput): number {
  return meanOfRows(input, ({ tokens, positions, price }) => {
    const repeats = tokens.filter((token, i) => i > 0 && token === tokens[i - 1]).length
    if (positions === 0 || positions < tokens.length + repeats) return undefined
    // Blanks around and between the tokens; log-probabilities of being at each of these states.
    const states = [input.blank, ...tokens.flatMap((token) => [token, input.blank])]
    const never = Number.NEGATIVE_INFINITY
    let reach = states.map((_, s) => (s === 0 ? 0 : never))
    for (let j = 0; j < positions; j++) {
      reach = states.map((state, s) => {
        const mayJump = s > 1 && state !== input.blank && state !== states[s - 2]
        // In the first position a path begins with a blank or with the first token.
        const ways = [reach[s] ?? never, reach[s - 1] ?? never, mayJump ? (reach[s - 2] ?? never) : never]
        return logSum(ways) - price(j, state)
      })
    }
    return -logSum([reach.at(-1) ?? never, reach.at(-2) ?? never])
  })
}

// One row: its tokens, how many positions it has, and -log P_position(token).
interface Row {
  readonly tokens: readonly number[]
  readonly positions: number
  readonly price: (position: number, token: number) => number
}

// `undefined` leaves a row out of the mean.
function meanOfRows(input: PositionsInput, loss: (row: Row) => number | undefined): number {
  const { logits, offsets, targets, targetOffsets, vocabulary } = input
  let sum = 0
  let rows = 0
  for (let row = 0; row + 1 < offsets.length; row++) {
    const first = offsets[row] ?? 0
    const positions = (offsets[row + 1] ?? 0) - first
    const tokens: number[] = []
    for (let i = targetOffsets[row] ?? 0; i < (targetOffsets[row + 1] ?? 0); i++) tokens.push(targets[i] ?? 0)
    if (positions === 0 && tokens.length === 0) continue
    const sums = Array.from({ length: positions }, (_, j) => {
      const start = (first + j) * vocabulary
      return logSumExp(logits, start, start + vocabulary)
    })
    const price = (position: number, token: number): number =>
      (sums[position] ?? 0) - (logits[(first + position) * vocabulary + token] ?? 0)
    const value = loss({ tokens, positions, price })
    if (value === undefined) continue
    sum += value / Math.max(1, tokens.length)
    rows++
  }
  return rows === 0 ? 0 : sum / rows
}

function logSum(values: readonly number[]): number {
  const most = Math.max(...values)
  return most === Number.NEGATIVE_INFINITY
    ? most
    : most + Math.log(values.reduce((sum, v) => sum + Math.exp(v - most), 0))
}
