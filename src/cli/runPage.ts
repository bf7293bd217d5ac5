// runPage: report.html, all that a run's folder says, as one page that needs no network and no script.

import type { AblationReport } from '../training/ablationReport.js'
import type { Sample, SampleSpan } from '../training/sample.js'
import { ablationTable } from './ablationTable.js'
import { curve, type Series, shortNumber } from './curve.js'
import { htmlPage, section } from './htmlPage.js'
import { escaped } from './markup.js'
import { duration } from './progress.js'
import type { RunHistory } from './runHistory.js'

/** What a page is made of. */
export interface RunPage {
  /** The run's folder. */
  readonly title: string
  readonly history: RunHistory
  /** The configuration the run began with, as JSON. */
  readonly config?: string
  readonly ablations?: AblationReport
}

/** A whole HTML document. */
export function runPage({ title, history, config, ablations }: RunPage): string {
  return htmlPage(`${title}: a merge-lm run`, `<h1>${escaped(title)}</h1>${facts(history)}`, [
    ...curves('Loss', 'loss', history.series),
    ...curves('Evaluation', 'evaluation', history.series),
    ...samples(history),
    ...ablationSection(ablations),
    ...curves('Training', 'train', history.series),
    ...(config === undefined
      ? []
      : [
          section(
            'Configuration',
            `<details><summary>As the run began</summary><pre>${escaped(config)}</pre></details>`,
          ),
        ]),
  ])
}

function facts({ last, best, series }: RunHistory): string {
  if (last === undefined) return ''
  const latest = (name: string): number | undefined => series.get(name)?.values.at(-1)
  const entries: [string, string][] = [
    ['Steps', last.step.toLocaleString('en')],
    ['Time', duration(latest('train/seconds') ?? 0)],
    ['Loss', shortNumber(last.total)],
  ]
  const speed = latest('train/tokensPerSecond')
  if (speed !== undefined) entries.push(['Tokens a second', shortNumber(speed)])
  if (best !== undefined) entries.push(['Best evaluation', `step ${best.step.toLocaleString('en')}`])
  return `<dl>${entries.map(([name, value]) => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`).join('')}</dl>`
}

function curves(heading: string, group: string, series: ReadonlyMap<string, Series>): string[] {
  const inGroup = [...series].filter(([name]) => name.startsWith(`${group}/`))
  if (inGroup.length === 0) return []
  const figures = inGroup.map(([name, values]) => curve(name.slice(group.length + 1), values))
  return [section(heading, `<div class="curves">\n${figures.join('\n')}\n</div>`)]
}

const legend = '<p><del>struck out</del>: deleted; <span class="mask">_</span>: a mask; <ins>bold</ins>: filled in.</p>'

function samples({ sampled }: RunHistory): string[] {
  if (sampled?.samples === undefined || sampled.samples.length === 0) return []
  const traces = sampled.samples.map((sample, index) => trace(sample, index + 1))
  const heading = `Held-out texts after step ${sampled.step.toLocaleString('en')}`
  return [section(heading, [legend, ...traces].join('\n'))]
}

function trace({ draft, result, target, lines }: Sample, number: number): string {
  const shown = lines ?? [
    [
      { kind: 'label', text: '   draft   ' },
      { kind: 'kept', text: draft },
    ],
    [
      { kind: 'label', text: '   result  ' },
      { kind: 'kept', text: result },
    ],
  ]
  const wanted =
    target === undefined || target === result
      ? []
      : [
          [
            { kind: 'label', text: '   target  ' },
            { kind: 'kept', text: target },
          ],
        ]
  const verdict = target === undefined ? '' : target === result ? ': exact' : ': not exact'
  const rows = [...shown, ...wanted].map((line) => `<div>${line.map(marked).join('')}</div>`)
  return `<h3>Text ${number}${verdict}</h3>\n<div class="trace">${rows.join('')}</div>`
}

// Struck out and bold as well as coloured: not everyone tells red from green.
function marked({ kind, text }: SampleSpan): string {
  const content = escaped(text)
  if (kind === 'deleted') return `<del>${content}</del>`
  if (kind === 'filled') return `<ins>${content}</ins>`
  return kind === 'label' || kind === 'note' || kind === 'mask' ? `<span class="${kind}">${content}</span>` : content
}

function ablationSection(ablations: AblationReport | undefined): string[] {
  if (ablations === undefined) return []
  const { head, groups, note } = ablationTable(ablations)
  const cells = (tag: string, row: readonly string[]): string =>
    row.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')
  const bodies = groups.map(({ title, rows }) => {
    const lines = rows.map(
      ([name = '', ...values]) => `<tr><th scope="row">${escaped(name)}</th>${cells('td', values)}</tr>`,
    )
    const heading = `<tr><th scope="rowgroup" colspan="${head.length}"><b>${escaped(title)}</b></th></tr>`
    return `<tbody>${heading}\n${lines.join('\n')}</tbody>`
  })
  const columns = head.map((cell) => `<th scope="col">${escaped(cell)}</th>`).join('')
  const table = `<table aria-label="Ablations"><thead><tr>${columns}</tr></thead>\n${bodies.join('\n')}</table>`
  // A table that is wider than the page moves in a frame of its own, by keys too.
  const frame = `<div class="wide" role="region" aria-label="Table of ablations" tabindex="0">${table}</div>`
  return [section('Ablations', `<p>${escaped(note)}</p>\n${frame}`)]
}
