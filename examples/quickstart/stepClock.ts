// StepClock: what the steps of a run cost: tokens a second, time outside the tensor library, delay of the event loop.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { StepReport } from 'merge-lm'

// The histogram holds whole intervals between two looks; what is beyond the interval is delay.
const lookEveryMs = 10

/** Add each report, stop once, then read the figures. */
export class StepClock {
  readonly #delay = monitorEventLoopDelay({ resolution: lookEveryMs })
  #steps = 0
  #tokens = 0
  #seconds = 0
  #nativeSeconds = 0
  #hostSeconds = 0

  constructor() {
    this.#delay.enable()
  }

  add(report: StepReport): void {
    this.#steps = report.step
    this.#tokens += report.tokens
    this.#seconds = report.seconds
    this.#nativeSeconds += report.nativeSeconds
    this.#hostSeconds += report.hostSeconds
  }

  stop(): void {
    this.#delay.disable()
  }

  figures() {
    const seconds = Math.max(this.#seconds, Number.EPSILON)
    return {
      steps: this.#steps,
      trainSeconds: this.#seconds,
      tokensPerSecond: this.#tokens / seconds,
      /** Share of the run outside the native step: batches, corruption, reports. */
      outsideShare: 1 - this.#nativeSeconds / seconds,
      /** Share of the run inside the native step, outside libtorch: the oracle and its bookkeeping. */
      hostShare: this.#hostSeconds / seconds,
      eventLoopP99Ms: Math.max(0, this.#delay.percentile(99) / 1e6 - lookEveryMs),
      eventLoopMaxMs: Math.max(0, this.#delay.max / 1e6 - lookEveryMs),
    }
  }
}
