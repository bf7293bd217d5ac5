// Schedules as data: a number that changes during a run, JSON-able and saved with a checkpoint.

/** Where a run is: optimizer steps done, and the share of the run that is over (0..1). */
export interface RunPosition {
  readonly step: number
  readonly progress: number
}

/** The stretch of a ramp: optimizer steps, or a share of the whole run (0..1). `start` (default 0) has the same unit. */
export type RampSpan =
  | { readonly steps: number; readonly start?: number | undefined }
  | { readonly share: number; readonly start?: number | undefined }

/** From one value to another; before `start` it is `from`, after the span it is `to`. */
export type Ramp = { readonly from: number; readonly to: number } & RampSpan

/**
 * A number, or how it changes during a run.
 *
 * `linear` and `cosine` move from `from` to `to`; `chain` takes its last piece that has started (pieces without a start
 * have started at 0), all measured in one unit.
 *
 * @example
 * const learningRate: Schedule = { chain: [
 *   { linear: { from: 0, to: 3e-3, share: 0.05 } },
 *   { cosine: { from: 3e-3, to: 0, start: 0.05, share: 0.95 } },
 * ] }
 */
export type Schedule =
  | number
  | { readonly constant: number }
  | { readonly linear: Ramp }
  | { readonly cosine: Ramp }
  | { readonly chain: readonly Schedule[] }

/** The schedule's value at a position of the run. */
export function valueAt(schedule: Schedule, at: RunPosition): number {
  if (typeof schedule === 'number') return schedule
  if ('constant' in schedule) return schedule.constant
  if ('linear' in schedule) return between(schedule.linear, rampShare(schedule.linear, at))
  if ('cosine' in schedule)
    return between(schedule.cosine, (1 - Math.cos(Math.PI * rampShare(schedule.cosine, at))) / 2)
  return valueAt(lastStarted(schedule.chain, at), at)
}

/** The values that a schedule moves between. */
export function scheduleValues(schedule: Schedule): number[] {
  if (typeof schedule === 'number') return [schedule]
  if ('constant' in schedule) return [schedule.constant]
  if ('linear' in schedule) return [schedule.linear.from, schedule.linear.to]
  if ('cosine' in schedule) return [schedule.cosine.from, schedule.cosine.to]
  return schedule.chain.flatMap(scheduleValues)
}

/**
 * Whether each piece of a chain has its time: the last piece that has started is the one that holds, so a later one must
 * start later, measured in the same unit. A piece without a start begins at 0 and may only be the first.
 */
export function everyPieceCounts(pieces: readonly Schedule[]): boolean {
  const starts = pieces.map(startOf)
  const units = new Set(starts.flatMap(({ unit }) => unit ?? []))
  return units.size <= 1 && starts.every(({ start }, index) => index === 0 || start > (starts[index - 1]?.start ?? 0))
}

/** The position after `step` of `steps` optimizer steps. */
export function positionOf(step: number, steps: number): RunPosition {
  return { step, progress: Math.min(1, step / steps) }
}

/** From 0 to `peak` during the first `warmup` of the run (share 0..1, default .05), then straight down to 0. */
export function warmupThenLinear(peak: number, warmup = 0.05): Schedule {
  return warmupThen('linear', peak, warmup)
}

/** From 0 to `peak` during the first `warmup` of the run (share 0..1, default .05), then down to 0 along a half cosine. */
export function warmupThenCosine(peak: number, warmup = 0.05): Schedule {
  return warmupThen('cosine', peak, warmup)
}

function warmupThen(shape: 'linear' | 'cosine', peak: number, warmup: number): Schedule {
  const decay = { from: peak, to: 0, start: warmup, share: 1 - warmup }
  return {
    chain: [
      { linear: { from: 0, to: peak, share: warmup } },
      shape === 'linear' ? { linear: decay } : { cosine: decay },
    ],
  }
}

function between(ramp: Ramp, share: number): number {
  return ramp.from + (ramp.to - ramp.from) * share
}

// How much of a ramp is over, 0..1. A ramp of no length is a jump at its start.
function rampShare(ramp: Ramp, at: RunPosition): number {
  const start = ramp.start ?? 0
  const [now, span] = 'steps' in ramp ? [at.step, ramp.steps] : [at.progress, ramp.share]
  if (span <= 0) return now < start ? 0 : 1
  return Math.min(1, Math.max(0, (now - start) / span))
}

function lastStarted(pieces: readonly Schedule[], at: RunPosition): Schedule {
  let chosen: Schedule = pieces[0] ?? 0
  for (const piece of pieces) if (hasStarted(piece, at)) chosen = piece
  return chosen
}

function hasStarted(piece: Schedule, at: RunPosition): boolean {
  const { start, unit } = startOf(piece)
  return (unit === 'steps' ? at.step : at.progress) >= start
}

// When a piece begins, and in which unit; a number, a constant and a chain begin at once.
function startOf(piece: Schedule): { start: number; unit?: 'steps' | 'share' } {
  if (typeof piece === 'number' || 'constant' in piece || 'chain' in piece) return { start: 0 }
  const ramp = 'linear' in piece ? piece.linear : piece.cosine
  return { start: ramp.start ?? 0, unit: 'steps' in ramp ? 'steps' : 'share' }
}
