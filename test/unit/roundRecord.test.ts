// The record of a round: what changes from round to round, worked out by hand.
import { describe, expect, it } from 'vitest'
import { refineConfig, roundRecord } from '../../src/config.js'

type Options = Parameters<typeof refineConfig.parse>[0]
const record = (options: Options, round: number) =>
  roundRecord(
    refineConfig.parse(options),
    { round, maxLength: 10, shift: -1, generation: -1 },
    { countSource: 'counts' },
  )
const shareOf = (options: Options, round: number) => {
  const { fillShare } = record(options, round)
  return Number(fillShare)
}

describe('roundRecord', () => {
  it('fills equal parts by the linear schedule: a quarter, a third, a half, the rest', () => {
    const options = { maxRounds: 4, fillSchedule: 'linear' }
    const shares = [0, 1, 2].map((round) => shareOf(options, round))
    expect(shares[0]).toBeCloseTo(1 / 4, 12)
    expect(shares[1]).toBeCloseTo(1 / 3, 12)
    expect(shares[2]).toBeCloseTo(1 / 2, 12)
  })

  it('leaves cos(pi/2 t/T) of the masks by the cosine schedule (MaskGIT)', () => {
    let waiting = 1
    for (const round of [0, 1, 2, 3]) {
      waiting *= 1 - shareOf({ maxRounds: 5, fillSchedule: 'cosine' }, round)
      expect(waiting).toBeCloseTo(Math.cos((Math.PI / 2) * ((round + 1) / 5)), 12)
    }
  })

  it('leaves no mask behind in the last round, whatever the threshold or the schedule', () => {
    for (const fillSchedule of ['all', 'linear', 'cosine']) {
      const options = { maxRounds: 3, fillSchedule, fillThreshold: 0.9 }
      expect(record(options, 1)).toMatchObject({ fillThreshold: 0.9 })
      expect(record(options, 2)).toMatchObject({ fillThreshold: 0, fillShare: 0 })
    }
  })

  it('lets the schedule alone choose where no threshold is given', () => {
    expect(record({ maxRounds: 3, fillSchedule: 'linear' }, 0)).toMatchObject({ fillThreshold: 1 })
    expect(record({ maxRounds: 3 }, 0)).toMatchObject({ fillThreshold: 0, fillShare: 0 })
  })

  it('generates in the first round alone where that is asked', () => {
    const options = { mode: 'edit', firstRound: 'generate' }
    expect(record(options, 0)).toMatchObject({ mode: 'gen' })
    expect(record(options, 1)).toMatchObject({ mode: 'edit' })
  })

  it("takes the model's source of counts unless another one is asked for", () => {
    expect(record({}, 0)).toMatchObject({ countSource: 'counts' })
    expect(record({ countSource: 'budget', targetLength: 7 }, 0)).toMatchObject({
      countSource: 'budget',
      targetLength: 7,
    })
  })

  it('never wants a longer row than there may be', () => {
    expect(record({ countSource: 'budget', targetLength: 70 }, 0)).toMatchObject({ targetLength: 10 })
  })
})
