// Temperature: one number by which the logits of a confidence are divided, so that it says how often it is right
// (Guo et al. 2017). Fitted on one half of the judged tokens, measured on the other.

import { type Calibration, calibrationOf, type JudgedFill } from './calibration.js'

/** The temperature with the least mean cross-entropy of sigmoid(logit / T); golden-section search over log T. */
export function fitTemperature(fills: readonly JudgedFill[]): number {
  const logits = Float64Array.from(fills, ({ confidence }) => logitOf(confidence))
  const right = fills.map(({ isRight }) => isRight)
  const loss = (logTemperature: number): number => {
    const scale = Math.exp(-logTemperature)
    let sum = 0
    logits.forEach((logit, index) => {
      const x = logit * scale
      sum += Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))) - (right[index] ? x : 0)
    })
    return sum
  }
  const ratio = (Math.sqrt(5) - 1) / 2
  let [low, high] = [Math.log(0.02), Math.log(50)]
  let [below, above] = [high - ratio * (high - low), low + ratio * (high - low)]
  let [atBelow, atAbove] = [loss(below), loss(above)]
  for (let step = 0; step < 60; step++) {
    if (atBelow <= atAbove) {
      high = above
      ;[above, atAbove] = [below, atBelow]
      below = high - ratio * (high - low)
      atBelow = loss(below)
    } else {
      low = below
      ;[below, atBelow] = [above, atAbove]
      above = low + ratio * (high - low)
      atAbove = loss(above)
    }
  }
  return Math.exp((low + high) / 2)
}

/** A confidence after temperature scaling. */
export function scaled(confidence: number, temperature: number): number {
  return 1 / (1 + Math.exp(-logitOf(confidence) / temperature))
}

/** Calibration of a confidence as it is, and after scaling. */
export interface ScaledCalibration {
  readonly raw: Calibration
  readonly temperature: number
  /** Of the half that the temperature was not fitted on. */
  readonly scaled: Calibration
}

/** Fits on every other one of the judged tokens and measures on the rest. */
export async function scaledCalibration(fills: readonly JudgedFill[]): Promise<ScaledCalibration> {
  const temperature = fitTemperature(fills.filter((_, index) => index % 2 === 0))
  const rest = fills.filter((_, index) => index % 2 === 1)
  const mended = rest.map(({ confidence, isRight }) => ({ confidence: scaled(confidence, temperature), isRight }))
  return { raw: await calibrationOf(fills), temperature, scaled: await calibrationOf(mended) }
}

// Where a confidence is 0 or 1 in float32, its logit is kept finite.
function logitOf(confidence: number): number {
  const inside = Math.min(1 - 1e-7, Math.max(1e-7, confidence))
  return Math.log(inside / (1 - inside))
}
