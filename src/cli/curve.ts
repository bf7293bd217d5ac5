// Curve: numbers over steps as an SVG figure, drawn here: a polyline needs no library, and the page stays small.

import { escaped } from './markup.js'
import { count } from './progress.js'

/** Finite numbers over steps; both lists have the same length. */
export interface Series {
  readonly steps: readonly number[]
  readonly values: readonly number[]
}

/** One point a bucket of steps; where there are few, a bucket is a step. */
interface Bucket {
  readonly step: number
  readonly mean: number
  readonly low: number
  readonly high: number
}

const width = 320
const height = 150
const plot = { left: 44, right: width - 10, top: 8, bottom: height - 22 }
const mostBuckets = 200
const mostDots = 40

/** A figure with a caption; the line is the mean of each stretch of steps, the band its range. */
export function curve(name: string, series: Series): string {
  const buckets = bucketsOf(series)
  const [first, last] = [buckets[0], buckets.at(-1)]
  if (first === undefined || last === undefined) return ''
  const ticks = ticksOf(Math.min(...buckets.map(({ low }) => low)), Math.max(...buckets.map(({ high }) => high)))
  const [bottom, top] = [ticks[0] ?? 0, ticks.at(-1) ?? 1]
  const x = (step: number): string => place(step, [first.step, last.step], [plot.left, plot.right])
  const y = (value: number): string => place(value, [bottom, top], [plot.bottom, plot.top])
  const points = buckets.map(({ step, mean }) => `${x(step)},${y(mean)}`).join(' ')
  const band = [...buckets.map(({ step, high }) => `${x(step)},${y(high)}`)]
  for (const { step, low } of buckets.toReversed()) band.push(`${x(step)},${y(low)}`)
  const { steps, values } = series
  const [from, to] = [values[0] ?? 0, values.at(-1) ?? 0]
  const label = `${name}: ${shortNumber(from)} at step ${steps[0]}, ${shortNumber(to)} at step ${steps.at(-1)}`
  const dots = buckets.length > mostDots ? [] : buckets
  return [
    `<figure><figcaption>${escaped(name)} <b>${shortNumber(to)}</b></figcaption>`,
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">`,
    ...ticks.map(
      (tick) =>
        `<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${y(tick)}" y2="${y(tick)}"/>` +
        `<text x="${plot.left - 5}" y="${y(tick)}" dy="3.5" text-anchor="end">${shortNumber(tick)}</text>`,
    ),
    `<text x="${plot.left}" y="${height - 6}">${count(first.step)}</text>`,
    ...(first.step === last.step
      ? []
      : [`<text x="${plot.right}" y="${height - 6}" text-anchor="end">step ${count(last.step)}</text>`]),
    `<polygon class="band" points="${band.join(' ')}"/>`,
    `<polyline class="line" points="${points}"/>`,
    ...dots.map(
      ({ step, mean }) =>
        `<circle class="dot" cx="${x(step)}" cy="${y(mean)}" r="2.5"><title>step ${step}: ${shortNumber(mean)}</title></circle>`,
    ),
    '</svg></figure>',
  ].join('\n')
}

/** 0.00003 as 3e-5, 12345 as 12.3k, others with three digits. */
export function shortNumber(value: number): string {
  const size = Math.abs(value)
  if (size >= 1000) return value < 0 ? `-${count(size)}` : count(size)
  if (size > 0 && size < 0.001) return value.toExponential(1).replace('.0e', 'e')
  return String(Number(value.toPrecision(3)))
}

function bucketsOf({ steps, values }: Series): Bucket[] {
  const size = Math.ceil(values.length / mostBuckets)
  const buckets: Bucket[] = []
  for (let start = 0; start < values.length; start += size) {
    const inside = values.slice(start, start + size)
    buckets.push({
      step: steps[start + inside.length - 1] ?? 0,
      mean: inside.reduce((sum, value) => sum + value, 0) / inside.length,
      low: Math.min(...inside),
      high: Math.max(...inside),
    })
  }
  return buckets
}

// Three to six round numbers that enclose a range.
function ticksOf(low: number, high: number): number[] {
  const range = high > low ? high - low : Math.abs(high) || 1
  const rough = range / 3
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * (rough / power < 2 ? 1 : rough / power < 5 ? 2 : 5)
  const from = Math.floor(low / step + 1e-9)
  const to = Math.max(from + 1, Math.ceil(high / step - 1e-9))
  return Array.from({ length: to - from + 1 }, (_, index) => (from + index) * step)
}

function place(value: number, [low, high]: readonly [number, number], [from, to]: readonly [number, number]): string {
  const share = high > low ? (value - low) / (high - low) : 0.5
  return (from + share * (to - from)).toFixed(1)
}
