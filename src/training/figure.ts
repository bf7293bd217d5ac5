// Figure: a measured number with the size of what it was measured on.

/** A measured number. */
export interface Figure {
  /** `null` where there was nothing to measure it on. */
  readonly value: number | null
  /** How many things it is a share or a mean of; each figure says which. */
  readonly n: number
}

/** The sum of `n` things as a share of them, or as their mean. */
export function figureOf(sum: number, n: number): Figure {
  return { value: n === 0 ? null : sum / n, n }
}
