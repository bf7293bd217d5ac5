// Noise: the noisy copy of an answer, block by block: some tokens masked, fewer of the rest wrong (arXiv 2509.23653,
// section 3.2). A pure function of the answer and its random numbers.

import type { Random } from '../random.js'

/** What became of a position. */
export const fate = { visible: 0, masked: 1, wrong: 2 } as const

/** How a block is noised. */
export interface NoiseOptions {
  /**
   * How #wrong < #masked is kept. `enforce`: by their counts; `reject`: a block that violates it is drawn anew;
   * `bernoulli`: not at all, as in the official release.
   */
  readonly monotone: 'enforce' | 'bernoulli' | 'reject'
  /** r: of the tokens that stay visible, 4 r t (1 - t) are wrong at noise level t (0..1); 0: none. */
  readonly wrongRatio: number
  /**
   * Share of blocks without any mask (0..1, default 0): each token is wrong with probability 4 r t (1 - t), the right ones
   * stay. Not of the paper, whose #wrong < #masked never shows the confidence a finished block with a mistake.
   */
  readonly maskFree?: number
}

/** The fate of each position of a block, noise level t ~ U(0, 1). */
export function drawFates(length: number, options: NoiseOptions, random: Random): Uint8Array {
  const { maskFree = 0 } = options
  // Without the option no number is drawn, so that earlier runs repeat.
  if (maskFree > 0 && random.next() < maskFree) {
    const wrong = wrongShare(random.next(), options.wrongRatio)
    return Uint8Array.from({ length }, () => (random.next() < wrong ? fate.wrong : fate.visible))
  }
  switch (options.monotone) {
    case 'enforce':
      return countedFates(length, options.wrongRatio, random)
    case 'bernoulli':
      return freeFates(length, options.wrongRatio, random)
    case 'reject':
      for (;;) {
        const fates = freeFates(length, options.wrongRatio, random)
        if (countOf(fates, fate.wrong) < countOf(fates, fate.masked)) return fates
      }
    default:
      return options.monotone satisfies never
  }
}

/** Where the noise of a row comes from. */
export interface NoiseSource extends NoiseOptions {
  /** Tokens of a block. */
  readonly blockLength: number
  /** The mask token. */
  readonly mask: number
  /** A token other than this one, or `undefined` where there is none: then the position stays as it is. */
  readonly wrongToken: (original: number, random: Random) => number | undefined
}

/** The noisy copy of an answer of whole blocks. */
export function noisyCopy(clean: Int32Array, source: NoiseSource, random: Random): Int32Array {
  const noisy = clean.slice()
  for (let start = 0; start < clean.length; start += source.blockLength) {
    drawFates(source.blockLength, source, random).forEach((what, index) => {
      const at = start + index
      const original = clean[at]
      if (what === fate.visible || original === undefined) return
      noisy[at] = what === fate.masked ? source.mask : (source.wrongToken(original, random) ?? original)
    })
  }
  return noisy
}

/** The answer with end-of-text up to whole blocks; `atLeastOne`: even behind an answer that fills its last block. */
export function padAnswer(
  answer: Int32Array,
  { blockLength, eos, atLeastOne }: { blockLength: number; eos: number; atLeastOne: boolean },
): Int32Array {
  const needed = answer.length + (atLeastOne ? 1 : 0)
  const padded = new Int32Array(Math.max(1, Math.ceil(needed / blockLength)) * blockLength).fill(eos)
  padded.set(answer)
  return padded
}

/** Draws among the tokens of a list, by their number of occurrences; `undefined` where the list holds no other. */
export function drawOther(tokens: Int32Array, original: number, random: Random): number | undefined {
  if (tokens.length === 0) return undefined
  for (let attempt = 0; attempt < attempts; attempt++) {
    const token = tokens[random.integer(tokens.length)]
    if (token !== undefined && token !== original) return token
  }
  // Nearly all are the same: the draws above would take long.
  const others = tokens.filter((token) => token !== original)
  return others.length === 0 ? undefined : others[random.integer(others.length)]
}

const attempts = 8

function countedFates(length: number, wrongRatio: number, random: Random): Uint8Array {
  const level = random.next()
  let masked = 0
  for (let draw = 0; draw < length; draw++) if (random.next() < level) masked++
  masked = Math.max(1, masked)
  const wrong = Math.min(Math.round(wrongShare(level, wrongRatio) * (length - masked)), masked - 1)
  const fates = new Uint8Array(length)
  random.shuffle(Array.from(fates.keys())).forEach((position, place) => {
    if (place < masked) fates[position] = fate.masked
    else if (place < masked + wrong) fates[position] = fate.wrong
  })
  return fates
}

function freeFates(length: number, wrongRatio: number, random: Random): Uint8Array {
  const level = random.next()
  const wrong = wrongShare(level, wrongRatio)
  return Uint8Array.from({ length }, () => {
    if (random.next() < level) return fate.masked
    return random.next() < wrong ? fate.wrong : fate.visible
  })
}

const wrongShare = (level: number, ratio: number): number => 4 * ratio * level * (1 - level)

function countOf(fates: Uint8Array, what: number): number {
  return fates.reduce((count, value) => (value === what ? count + 1 : count), 0)
}
