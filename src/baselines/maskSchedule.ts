// MaskSchedule: how many tokens of a target are masks, in training and after each round: pure functions.

/**
 * What falls from 1 to 0 as a row is filled. `linear`: equal parts (mask-predict, arXiv 1904.09324, section 4); `cosine`: few
 * at first (MaskGIT, arXiv 2202.04200, section 3.3).
 */
export type MaskSchedule = 'linear' | 'cosine'

/**
 * Masks of a target of `length` tokens in training, 1..length (0 of an empty one): ceil(gamma(u) length). Linear: every
 * number is equally likely. `uniform` is a random number in [0, 1).
 */
export function trainingMasks(schedule: MaskSchedule, length: number, uniform: number): number {
  if (length === 0) return 0
  switch (schedule) {
    case 'linear':
      return length - Math.floor(uniform * length)
    case 'cosine':
      return Math.max(1, Math.ceil(Math.cos((Math.PI / 2) * uniform) * length))
    default:
      return schedule satisfies never
  }
}

/** A round of decoding: the number of tokens of the row, those that may become masks again, and which round it is. */
export interface DecodingRound {
  readonly length: number
  /** Masks, and filled tokens that compete with them. */
  readonly free: number
  /** From 1. */
  readonly round: number
  readonly rounds: number
}

/** Masks that a row keeps after a round: floor(gamma(round / rounds) length), but at least one place is settled. */
export function masksAfter(schedule: MaskSchedule, { length, free, round, rounds }: DecodingRound): number {
  return Math.max(0, Math.min(free - 1, share(schedule, length, round, rounds)))
}

function share(schedule: MaskSchedule, length: number, round: number, rounds: number): number {
  switch (schedule) {
    case 'linear':
      // Whole numbers to the last division: 1 - 9 / 10 is less than a tenth.
      return Math.floor((length * (rounds - round)) / rounds)
    case 'cosine':
      return Math.floor(length * Math.cos((Math.PI / 2) * (round / rounds)))
    default:
      return schedule satisfies never
  }
}
