// Quantiles: a median with its quartiles; means hide the one slow call that another program caused.

/** A median with the quartiles around it. */
export interface Middle {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly samples: number
}

/** The value below which this share (0..1) of the values lies, straight between two neighbours; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = share * (sorted.length - 1)
  const below = sorted[Math.floor(place)] ?? Number.NaN
  const above = sorted[Math.ceil(place)] ?? Number.NaN
  return below + (place - Math.floor(place)) * (above - below)
}

/** Median and quartiles. */
export function middleOf(values: readonly number[]): Middle {
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => quantile(values, share))
  return { median: median ?? Number.NaN, low: low ?? Number.NaN, high: high ?? Number.NaN, samples: values.length }
}

/** Median of the ratios of pairs that were measured side by side: a load that slows both of a pair leaves it alone. */
export function pairedRatio(values: readonly number[], others: readonly number[]): Middle {
  return middleOf(values.slice(0, others.length).map((value, pair) => value / (others[pair] ?? Number.NaN)))
}

/** Three digits, which is more than a measurement holds. */
export const rounded = (value: number): number => Number(value.toPrecision(4))
