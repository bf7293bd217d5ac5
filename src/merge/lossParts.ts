// What the float64 loss formulas are made of: means, cross-entropies, the clamp.

/** Probabilities inside a KL stay in [1e-4, 1 - 1e-4]. */
export const probabilityFloor = 1e-4

/** Members `[start, end)` of a row. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** 0 over an empty set. */
export function meanOf(count: number, value: (index: number) => number): number {
  let sum = 0
  for (let index = 0; index < count; index++) sum += value(index)
  return count === 0 ? 0 : sum / count
}

/** Over the rows that have members; 0 where none has. */
export function meanOverRows(offsets: ArrayLike<number>, value: (row: number, range: Range) => number): number {
  let sum = 0
  let count = 0
  for (let row = 0; row + 1 < offsets.length; row++) {
    const range = { start: offsets[row] ?? 0, end: offsets[row + 1] ?? 0 }
    if (range.end === range.start) continue
    sum += value(row, range)
    count++
  }
  return count === 0 ? 0 : sum / count
}

/** Mean keep probability of one row's tokens. */
export function meanKeep(keepLogits: ArrayLike<number>, { start, end }: Range): number {
  return meanOf(end - start, (index) => sigmoid(keepLogits[start + index] ?? 0))
}

/** Cross-entropy of one row of a [rows x classes] table against a target smoothed over all classes. */
export function crossEntropy(
  logits: ArrayLike<number>,
  row: number,
  classes: number,
  target: number,
  smoothing: number,
): number {
  const start = row * classes
  const lse = logSumExp(logits, start, start + classes)
  const spread = meanOf(classes, (index) => lse - (logits[start + index] ?? 0))
  return (1 - smoothing) * (lse - (logits[start + target] ?? 0)) + smoothing * spread
}

/** Over `[start, end)`, without overflow. */
export function logSumExp(values: ArrayLike<number>, start: number, end: number): number {
  let largest = Number.NEGATIVE_INFINITY
  for (let index = start; index < end; index++) largest = Math.max(largest, values[index] ?? 0)
  let sum = 0
  for (let index = start; index < end; index++) sum += Math.exp((values[index] ?? 0) - largest)
  return largest + Math.log(sum)
}

/** -y log s(z) - (1 - y) log(1 - s(z)), without overflow. */
export function binaryCrossEntropy(logit: number, target: number): number {
  return Math.max(logit, 0) - logit * target + Math.log1p(Math.exp(-Math.abs(logit)))
}

/** 1 / (1 + exp(-z)), without overflow. */
export function sigmoid(logit: number): number {
  return logit >= 0 ? 1 / (1 + Math.exp(-logit)) : Math.exp(logit) / (1 + Math.exp(logit))
}

/** A probability as it stands inside a KL. */
export function clamped(probability: number): number {
  return Math.min(1 - probabilityFloor, Math.max(probabilityFloor, probability))
}
