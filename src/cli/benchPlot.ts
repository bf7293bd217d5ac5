// benchPlot: results of a benchmark as SVG figures: speed over the batch, and bars.

import { shortNumber } from './curve.js'
import { escaped } from './markup.js'

/** One line of a plot; a point is a batch and a value above 0. */
export interface PlotLine {
  readonly name: string
  readonly points: readonly (readonly [batch: number, value: number])[]
}

const width = 460
const height = 260
const plot = { left: 48, right: width - 150, top: 12, bottom: height - 26 }

/** Lines over the batch, both axes by powers; each is named at its end. */
export function batchPlot(title: string, lines: readonly PlotLine[]): string {
  const points = lines.flatMap((line) => line.points)
  if (points.length === 0) return ''
  const batches = [...new Set(points.map(([batch]) => batch))].sort((a, b) => a - b)
  const logs = points.map(([, value]) => Math.log10(value))
  const [low, high] = [Math.floor(2 * Math.min(...logs)) / 2, Math.ceil(2 * Math.max(...logs) + 0.01) / 2]
  const [first, last] = [Math.log2(batches[0] ?? 1), Math.log2(batches.at(-1) ?? 1)]
  const x = (batch: number): number =>
    between((Math.log2(batch) - first) / Math.max(1e-9, last - first), 'left', 'right')
  const y = (value: number): number => between((Math.log10(value) - low) / (high - low), 'bottom', 'top')
  const ticks = Array.from({ length: Math.round(2 * (high - low)) + 1 }, (_, index) => 10 ** (low + index / 2))
  const labels = apart(lines.map(({ points }) => y(points.at(-1)?.[1] ?? 1)))
  return figureOf(title, height, [
    ...ticks.map(
      (tick) =>
        `<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}"/>` +
        `<text x="${plot.left - 5}" y="${fixed(y(tick))}" dy="3.5" text-anchor="end">${shortNumber(Number(tick.toPrecision(2)))}</text>`,
    ),
    ...batches.map((batch) => `<text x="${fixed(x(batch))}" y="${height - 8}" text-anchor="middle">${batch}</text>`),
    ...lines.flatMap(({ name, points }, index) => {
      const path = points.map(([batch, value]) => `${fixed(x(batch))},${fixed(y(value))}`).join(' ')
      const dots = points.map(
        ([batch, value]) =>
          `<circle cx="${fixed(x(batch))}" cy="${fixed(y(value))}" r="2.5" style="fill:${colour(index)}">` +
          `<title>${escaped(name)}, batch ${batch}: ${shortNumber(value)}</title></circle>`,
      )
      const label = `<text x="${plot.right + 8}" y="${fixed(labels[index] ?? 0)}" dy="3.5" style="fill:${colour(index)}">${escaped(name)}</text>`
      return [`<polyline class="line" style="stroke:${colour(index)}" points="${path}"/>`, ...dots, label]
    }),
  ])
}

/** One bar of a chart; `low` and `high` are its spread. */
export interface Bar {
  readonly name: string
  readonly value: number
  readonly low?: number
  readonly high?: number
}

const barHeight = 20
const barLeft = 190

/** Bars from 0, their spread as a thin line. */
export function barPlot(title: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value, high }) => Math.max(value, high ?? 0)))
  if (!(most > 0)) return ''
  const x = (value: number): number => barLeft + (value / most) * (width - barLeft - 60)
  return figureOf(
    title,
    barHeight * bars.length + 8,
    bars.flatMap(({ name, value, low, high }, index) => {
      const top = 4 + barHeight * index
      const middle = top + barHeight / 2
      const end = x(Math.max(value, high ?? 0))
      return [
        `<text x="${barLeft - 6}" y="${middle}" dy="3.5" text-anchor="end">${escaped(name)}</text>`,
        `<rect class="band" x="${barLeft}" y="${top + 3}" width="${fixed(x(value) - barLeft)}" height="${barHeight - 6}"/>`,
        ...(low === undefined || high === undefined
          ? []
          : [`<line class="line" x1="${fixed(x(low))}" x2="${fixed(x(high))}" y1="${middle}" y2="${middle}"/>`]),
        `<text x="${fixed(end + 6)}" y="${middle}" dy="3.5">${shortNumber(value)}</text>`,
      ]
    }),
  )
}

function figureOf(title: string, tall: number, content: readonly string[]): string {
  return [
    `<figure><figcaption>${escaped(title)}</figcaption>`,
    `<svg viewBox="0 0 ${width} ${tall}" role="img" aria-label="${escaped(title)}">`,
    ...content,
    '</svg></figure>',
  ].join('\n')
}

const between = (share: number, from: keyof typeof plot, to: keyof typeof plot): number =>
  plot[from] + share * (plot[to] - plot[from])

const fixed = (value: number): string => value.toFixed(1)

// Told apart in light and dark, and by people who do not tell red from green.
const colour = (index: number): string => `hsl(${(211 + 67 * index) % 360} 65% 45%)`

// Labels keep 12 units between them, in the order of their lines' ends.
function apart(places: readonly number[]): number[] {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place)
  const moved = [...places]
  let least = Number.NEGATIVE_INFINITY
  for (const { place, index } of order) {
    least = Math.max(place, least + 12)
    moved[index] = least
  }
  return moved
}
