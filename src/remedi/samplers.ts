// Samplers: what each denoising step is told about a block: how many positions stay, and which may not be asked.
// Pure and synchronous; the choice among positions is the engine's.

import { randomFrom } from '../random.js'
import type { BlockState } from './block.js'
import type { GenerateConfig } from './generateConfig.js'
import { visibleAfter } from './rollout.js'

/** What becomes of a position. */
export const fates = { free: 0, stays: 1, masked: 2 } as const

/** What a step is told about a block. */
export interface StepPlan {
  /** rank: `keep` positions are visible afterwards. threshold: by confidence, and `keep` masks at least are filled. */
  readonly policy: 'rank' | 'threshold'
  readonly keep: number
  readonly fillThreshold: number
  readonly remaskThreshold: number
  /** Of each position, see `fates`. */
  readonly fate: Uint8Array
}

/** Whose random numbers a plan draws. */
export interface PlanStream {
  readonly key: number
  /** Steps that the row has taken, over all of its blocks. */
  readonly draw: number
}

/** The plan of a block's next step. */
export function planStep(block: BlockState, mask: number, settings: GenerateConfig, stream: PlanStream): StepPlan {
  const length = block.tokens.length
  const lockedCount = block.locked.reduce((sum, flag) => sum + flag, 0)
  const fate = Uint8Array.from(block.tokens, (token, place) =>
    isHeld(block, place, token === mask, settings) ? fates.stays : fates.free,
  )
  const isExtra = block.step >= block.steps
  if (isExtra) {
    const isLast = block.step + 1 >= block.steps + settings.extraCorrectionSteps || block.isSettling
    const { remaskThreshold } = settings
    // The last one leaves no mask behind.
    const marked = isLast ? fate.fill(fates.stays) : filledMasks(block, mask, fate)
    return { policy: 'threshold', keep: 0, fillThreshold: 0, remaskThreshold, fate: marked }
  }
  const isLast = block.step + 1 === block.steps
  switch (settings.sampler) {
    case 'fixed':
    case 'llada': {
      const free = length - lockedCount - block.drafted
      const keep = (visibleAfter(free, block.steps)[block.step] ?? free) + lockedCount + block.drafted
      return { policy: 'rank', keep, fillThreshold: 0, remaskThreshold: 0, fate }
    }
    case 'threshold': {
      const { leastFilled, fillThreshold, remaskThreshold } = settings
      return {
        policy: 'threshold',
        keep: leastFilled,
        fillThreshold,
        remaskThreshold,
        fate: isLast ? fate.fill(fates.stays) : fate,
      }
    }
    case 'remdm':
      return {
        policy: 'rank',
        keep: 0,
        fillThreshold: 0,
        remaskThreshold: 0,
        fate: chanceFates(block, mask, fate, settings, stream),
      }
    default: {
      const never: never = settings.sampler
      return never
    }
  }
}

// Locked tokens, tokens whose remasks are used up, all visible ones where nothing is remasked.
function isHeld(block: BlockState, place: number, isMask: boolean, settings: GenerateConfig): boolean {
  if (block.locked[place] === 1) return true
  if (isMask) return false
  const isSpent = (block.remasks[place] ?? 0) >= (settings.maxRemasksPerPosition ?? Number.POSITIVE_INFINITY)
  return isSpent || block.isSettling || (settings.sampler === 'llada' && block.step < block.steps)
}

// Thresholds cannot say "whatever the confidence": a margin may be negative. So masks that must be filled are marked.
function filledMasks(block: BlockState, mask: number, fate: Uint8Array): Uint8Array {
  return fate.map((value, place) => (block.tokens[place] === mask ? fates.stays : value))
}

// ReMDM: each mask is filled and each visible token remasked by chance (arXiv 2503.00307, algorithm 1).
function chanceFates(
  block: BlockState,
  mask: number,
  held: Uint8Array,
  settings: GenerateConfig,
  { key, draw }: PlanStream,
): Uint8Array {
  const random = randomFrom(settings.seed, draw, key, 'remdm')
  const { fill, remask } = remdmChances(block, mask, settings)
  return Uint8Array.from(block.tokens, (token, place) => {
    const uniform = random.next()
    if (token === mask) return uniform < fill ? fates.stays : fates.masked
    if (held[place] === fates.stays) return fates.stays
    return uniform < (remask[place] ?? 0) ? fates.masked : fates.stays
  })
}

/** How likely a mask is filled and each visible token is remasked in the block's next step, under ReMDM. */
export function remdmChances(
  block: BlockState,
  mask: number,
  { remdm }: Pick<GenerateConfig, 'remdm'>,
): { readonly fill: number; readonly remask: Float64Array } {
  const { schedule, eta, loopFrom, loopTo, loopAlpha } = remdm
  const isLoop = schedule === 'loop'
  // Share of visible tokens at time t, which runs from 1 (all masks) to 0.
  const alpha = (t: number): number => {
    if (!isLoop) return 1 - t
    if (t > loopFrom) return (loopAlpha * (1 - t)) / (1 - loopFrom)
    return t >= loopTo ? loopAlpha : loopAlpha + ((1 - loopAlpha) * (loopTo - t)) / loopTo
  }
  const time = 1 - block.step / block.steps
  const next = 1 - (block.step + 1) / block.steps
  const [before, after] = [alpha(time), alpha(next)]
  const largest = before === 0 ? 1 : Math.min(1, (1 - after) / before)
  const isOutside = isLoop && (time > loopFrom || next < loopTo)
  const sigma = isOutside
    ? 0
    : schedule === 'rescale'
      ? eta * largest
      : schedule === 'confidence'
        ? largest
        : Math.min(eta, largest)
  const remask = new Float64Array(block.tokens.length)
  if (schedule === 'confidence') {
    // Shared out by softmax(-psi), psi the probability with which a token was filled in; masks have no share.
    const weights = Float64Array.from(block.filledWith, (psi, place) =>
      block.tokens[place] === mask ? 0 : Math.exp(-psi),
    )
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    if (total > 0) remask.set(weights.map((weight) => (sigma * weight) / total))
  } else {
    remask.fill(sigma)
  }
  const ofMasks = schedule === 'confidence' ? 0 : sigma
  const fill = next <= 0 ? 1 : (after - (1 - ofMasks) * before) / (1 - before)
  return { fill: Math.min(1, Math.max(0, fill)), remask: next <= 0 ? remask.fill(0) : remask }
}
