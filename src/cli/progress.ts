// Progress: how a training run is doing, as one live line, as plain lines every few seconds, or as JSON lines.

import type { GptFigures } from '../baselines/gptTask.js'
import type { LevtFigures } from '../baselines/levtTask.js'
import type { MaskGitFigures } from '../baselines/maskgitTask.js'
import type { RemediFigures } from '../remedi/task.js'
import type { StepReport } from '../training/report.js'
import type { Output } from './terminal.js'

/** The report of a step of any family. */
export type AnyReport =
  | StepReport
  | StepReport<RemediFigures>
  | StepReport<GptFigures>
  | StepReport<LevtFigures>
  | StepReport<MaskGitFigures>

/** How a run is shown. */
export type ProgressStyle = 'live' | 'plain' | 'json'

/** Shows reports of a run as they come. */
export interface Progress {
  report(report: AnyReport): void
  /** A line of its own, above the live one. */
  note(text: string): void
  /** Leaves the last state standing. */
  end(): void
}

export interface ProgressOptions {
  readonly stream: Output
  /** Default: live on a terminal, else plain. */
  readonly style?: ProgressStyle | undefined
  /** Milliseconds; tests bring their own clock. */
  readonly now?: () => number
}

const liveEveryMs = 100
const plainEveryMs = 5000

/** Shows a run on a stream. */
export function showProgress({ stream, style, now = () => performance.now() }: ProgressOptions): Progress {
  const chosen = style ?? (stream.isTTY === true ? 'live' : 'plain')
  const everyMs = chosen === 'live' ? liveEveryMs : plainEveryMs
  let shownAt = Number.NEGATIVE_INFINITY
  let last: AnyReport | undefined
  let isShown = true
  const show = (report: AnyReport): void => {
    shownAt = now()
    isShown = true
    const text = progressLine(report)
    if (chosen === 'plain') stream.write(`${text}\n`)
    else stream.write(`\r\u001b[2K${text.slice(0, (stream.columns ?? 120) - 1)}`)
  }
  return {
    report(report) {
      if (chosen === 'json') {
        stream.write(`${JSON.stringify({ ...report, memoryBytes: process.memoryUsage.rss() })}\n`)
        return
      }
      last = report
      isShown = false
      if (now() - shownAt >= everyMs) show(report)
      if (report.evaluation !== undefined) this.note(`step ${report.step}: ${evaluationLine(report.evaluation)}`)
    },
    note(text) {
      if (chosen === 'json') return
      stream.write(chosen === 'live' ? `\r\u001b[2K${text}\n` : `${text}\n`)
      if (chosen === 'live' && last !== undefined) show(last)
    },
    end() {
      if (chosen === 'json' || last === undefined) return
      if (!isShown) show(last)
      if (chosen === 'live') stream.write('\n')
      last = undefined
      // Another run may follow, whose first state is news.
      shownAt = Number.NEGATIVE_INFINITY
    },
  }
}

/** One line about a step: step, share of the run, time left, speed, memory, what its task is about, loss terms. */
export function progressLine(report: AnyReport, memoryBytes: number = process.memoryUsage.rss()): string {
  // The loss terms come last: a narrow terminal cuts them first.
  const words = [
    `step ${report.step}`,
    `${Math.floor(100 * report.progress)} %`,
    `${duration(report.secondsLeft)} left`,
    `${count(report.tokensPerSecond)} tokens/s`,
    `${Math.round(memoryBytes / 2 ** 20)} MiB`,
    ...taskWords(report),
  ]
  return words.join('  ')
}

function taskWords(report: AnyReport): string[] {
  const loss = `loss ${report.total.toFixed(3)}`
  if ('gateRate' in report) {
    const { recon, compression, pointer, gate, length } = report.terms
    return [
      `gate ${Math.round(100 * report.gateRate)} %`,
      `${loss} (recon ${recon.toFixed(2)} comp ${compression.toFixed(3)} ` +
        `ptr ${pointer.toFixed(3)} gate ${gate.toFixed(2)} len ${length.toFixed(3)})`,
    ]
  }
  const terms = Object.entries(report.terms).map(([name, value]) => `${name} ${value.toFixed(3)}`)
  return [rateOf(report), `${loss} (${terms.join(' ')})`]
}

// The one number, beside the loss, by which such a run is followed.
function rateOf(report: Exclude<AnyReport, StepReport>): string {
  if ('reward' in report) return `reward ${report.reward.toFixed(3)}`
  return 'tokenAccuracy' in report ? `tokens ${percent(report.tokenAccuracy)}` : `fills ${percent(report.fillAccuracy)}`
}

/** Shares as percentages, other numbers as they are. */
export function evaluationLine(evaluation: Readonly<Record<string, number>>): string {
  return Object.entries(evaluation)
    .map(([name, value]) => `${name} ${name.startsWith('mean') ? value.toFixed(2) : percent(value)}`)
    .join('  ')
}

/** A share (0..1) as a percentage. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

/** 834, 12.3k, 1.2M. */
export function count(value: number): string {
  if (value < 1000) return String(Math.round(value))
  return value < 1e6 ? `${(value / 1000).toFixed(1)}k` : `${(value / 1e6).toFixed(1)}M`
}

/** 8 s as 0:08, 2 hours as 2:00:00. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.round(seconds)
  const two = (value: number): string => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}
