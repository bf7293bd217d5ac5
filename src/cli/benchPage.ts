// benchPage: a benchmark as one page: its tables and what they look like.

import type { BenchReport, BenchResult } from '../bench/benchReport.js'
import { type Bar, barPlot, batchPlot } from './benchPlot.js'
import { type BenchTable, benchTables, figure, machineLine, nameOf } from './benchTable.js'
import { htmlPage, section } from './htmlPage.js'
import { escaped } from './markup.js'

/** A whole HTML document. */
export function benchPage(report: BenchReport): string {
  const header = `<h1>merge-lm: a benchmark</h1><p>${escaped(machineLine(report))}</p>`
  const sections = benchTables(report).map((table) => {
    return section(table.title, `<p>${escaped(table.note)}</p>\n${figures(table)}\n${tableMarkup(table)}`)
  })
  return htmlPage('merge-lm: a benchmark', header, sections)
}

function figures({ suite, results }: BenchTable): string {
  const drawn = results.filter(({ latencyMs, suite }) => latencyMs !== null || suite === 'quality')
  if (suite === 'inference' && drawn.every(({ tokensPerSecond }) => tokensPerSecond === null)) {
    return frame([
      barPlot(
        'Milliseconds',
        drawn.map((result) => ({ name: nameOf(result), value: result.latencyMs ?? 0 })),
      ),
    ])
  }
  if (suite === 'ops') {
    const bars = drawn.map((result) => ({
      ...barOf(`${result.family}${result.case.endsWith('backward') ? ', backward' : ''}`, result, 'timesReference'),
      low: figure(result, 'timesReferenceLow') ?? 0,
      high: figure(result, 'timesReferenceHigh') ?? 0,
    }))
    return frame([barPlot('Times as fast as the reference', bars)])
  }
  if (suite === 'quality') {
    const bars = (name: string): Bar[] => drawn.map((result) => barOf(nameOf(result), result, name))
    return frame([
      barPlot('Exactly right, share', bars('exact')),
      barPlot('F0.5 of the edits', bars('f05')),
      barPlot('Finished texts that were changed, share', bars('overCorrection')),
    ])
  }
  const batches = new Set(drawn.map(({ batch }) => batch))
  if (suite === 'training' || batches.size < 2) {
    const bars = drawn.map((result) => ({ name: nameOf(result), value: result.tokensPerSecond ?? 0 }))
    return frame([barPlot('Tokens a second', bars)])
  }
  const lines = (value: (result: BenchResult) => number | null) =>
    [...new Set(drawn.map(nameOf))].map((name) => ({
      name,
      points: drawn
        .filter((result) => nameOf(result) === name)
        .flatMap((result): [number, number][] => {
          const [batch, height] = [result.batch, value(result)]
          return batch === null || height === null || height <= 0 ? [] : [[batch, height]]
        }),
    }))
  return frame([
    batchPlot(
      'Tokens a second over the batch',
      lines(({ tokensPerSecond }) => tokensPerSecond),
    ),
    batchPlot(
      'Times GPT over the batch',
      lines((result) => figure(result, 'timesGpt')),
    ),
  ])
}

const barOf = (name: string, result: BenchResult, key: string): Bar => ({ name, value: figure(result, key) ?? 0 })

const frame = (drawings: readonly string[]): string => `<div class="curves">\n${drawings.join('\n')}\n</div>`

function tableMarkup({ title, head, rows }: BenchTable): string {
  const cells = (row: readonly string[]): string => row.map((cell) => `<td>${escaped(cell)}</td>`).join('')
  const columns = head.map((cell) => `<th scope="col">${escaped(cell)}</th>`).join('')
  const lines = rows.map((row) => `<tr>${cells(row)}</tr>`).join('\n')
  const table = `<table><thead><tr>${columns}</tr></thead>\n<tbody>${lines}</tbody></table>`
  // A table that is wider than the page moves in a frame of its own, by keys too.
  return `<div class="wide" role="region" aria-label="${escaped(title)}" tabindex="0">${table}</div>`
}
