// What each denoising step is told: schedules, thresholds, who is held, and ReMDM's chances.
import { describe, expect, it } from 'vitest'
import { type BlockState, isFinished, isIdle, newBlock, steppedBlock } from '../../src/remedi/block.js'
import { policyPositions } from '../../src/remedi/config.js'
import { type GenerateOptions, generateConfig } from '../../src/remedi/generateConfig.js'
import { fates, planStep, remdmChances } from '../../src/remedi/samplers.js'

const mask = 3
const settings = (options: GenerateOptions = {}) => generateConfig.parse(options)
const stream = { key: 1, draw: 0 }
const blockOf = (tokens: number[], options: GenerateOptions = {}, locked = tokens.map(() => 0)): BlockState =>
  newBlock(Int32Array.from(tokens), Uint8Array.from(locked), mask, settings(options))
const masks = (length: number) => new Array<number>(length).fill(mask)
const stepped = (block: BlockState, tokens: number[], options: GenerateOptions = {}) =>
  steppedBlock(
    block,
    { tokens: Int32Array.from(tokens), probability: Float32Array.from(tokens, () => 0.5) },
    { mask, ...settings(options) },
  )

describe('places of the policy blocks', () => {
  it('follow the rule of section 1', () => {
    expect(policyPositions(32, 4)).toEqual([0, 10, 20, 30])
    expect(policyPositions(12, 2)).toEqual([0, 10])
    expect(policyPositions(12, 1)).toEqual([11])
    expect(policyPositions(16, 4)).toEqual([0, 5, 9, 14])
  })
})

describe('the fixed sampler', () => {
  it('keeps more in each step, the remainder last', () => {
    let block = blockOf(masks(32), { steps: 5 })
    const kept: number[] = []
    for (let n = 0; n < 5; n++) {
      const plan = planStep(block, mask, settings({ steps: 5 }), stream)
      expect(plan.policy).toBe('rank')
      kept.push(plan.keep)
      block = { ...block, step: n + 1 }
    }
    expect(kept).toEqual([6, 12, 18, 25, 32])
  })

  it('counts what is locked and what was drafted on top', () => {
    const block = blockOf([7, mask, mask, mask, mask, 9], { steps: 2 }, [1, 0, 0, 0, 0, 0])
    const plan = planStep(block, mask, settings({ steps: 2 }), stream)
    expect(plan.keep).toBe(4)
    expect([...plan.fate]).toEqual([fates.stays, ...new Array(5).fill(fates.free)])
  })

  it('has no step without a mask to fill', () => {
    expect(blockOf(masks(3), { steps: 8 }).steps).toBe(3)
    expect(isIdle(blockOf([5, 6], { steps: 8 }), mask, 0)).toBe(true)
    expect(isIdle(blockOf([5, 6], { steps: 8 }), mask, 1)).toBe(false)
    expect(isIdle(blockOf([5, 6], { steps: 8, sampler: 'threshold' }), mask, 0)).toBe(false)
  })
})

describe('holding', () => {
  it('llada keeps what is visible, fixed does not', () => {
    const { block } = stepped(blockOf(masks(4), { steps: 2 }), [5, mask, mask, 6])
    expect([...planStep(block, mask, settings({ steps: 2, sampler: 'llada' }), stream).fate]).toEqual([1, 0, 0, 1])
    expect([...planStep(block, mask, settings({ steps: 2 }), stream).fate]).toEqual([0, 0, 0, 0])
  })

  it('a position that was remasked often enough stays', () => {
    const options: GenerateOptions = { steps: 4, maxRemasksPerPosition: 1 }
    let { block } = stepped(blockOf(masks(2), options), [5, mask])
    block = stepped(block, [mask, 6]).block
    block = stepped(block, [5, mask]).block
    expect([...block.remasks]).toEqual([1, 1])
    expect([...planStep({ ...block, steps: 9 }, mask, settings(options), stream).fate]).toEqual([1, 0])
  })

  it('a block that comes back to an earlier state settles', () => {
    const first = stepped(blockOf(masks(2)), [5, mask])
    const second = stepped(first.block, [mask, 6])
    expect(second.block.isSettling).toBe(false)
    const third = stepped(second.block, [5, mask])
    expect(third.block.isSettling).toBe(true)
    expect(stepped(second.block, [5, mask], { detectCycles: false }).block.isSettling).toBe(false)
    expect([...planStep({ ...third.block, steps: 9 }, mask, settings(), stream).fate]).toEqual([1, 0])
  })
})

describe('the threshold sampler', () => {
  const options: GenerateOptions = {
    sampler: 'threshold',
    steps: 3,
    fillThreshold: 0.8,
    remaskThreshold: 0.2,
    leastFilled: 2,
  }

  it('says the thresholds, and fills everything in its last step', () => {
    const block = blockOf(masks(4), options)
    expect(planStep(block, mask, settings(options), stream)).toMatchObject({
      policy: 'threshold',
      keep: 2,
      fillThreshold: 0.8,
      remaskThreshold: 0.2,
    })
    expect([...planStep({ ...block, step: 2 }, mask, settings(options), stream).fate]).toEqual([1, 1, 1, 1])
  })

  it('ends with the last mask', () => {
    const { block, change } = stepped(blockOf(masks(2), options), [5, 6], options)
    expect(isFinished(block, change, 0)).toBe(true)
    expect(isFinished(block, change, 2)).toBe(false)
    const correction = stepped(block, [5, 6], options)
    expect(isFinished(correction.block, correction.change, 2)).toBe(true)
  })

  it('raw logits fit no threshold', () => {
    expect(() => settings({ ...options, confidenceSource: 'logit' })).toThrow('within 0..1')
    expect(settings({ sampler: 'llada' }).confidenceSource).toBe('probability')
    expect(settings().confidenceSource).toBe('ups')
  })
})

describe('extra corrections', () => {
  it('fill what is masked, doubt what is visible, and leave no mask behind', () => {
    const options: GenerateOptions = { steps: 1, extraCorrectionSteps: 2 }
    const { block } = stepped(blockOf(masks(2), options), [5, 6], options)
    const first = planStep(block, mask, settings(options), stream)
    expect(first).toMatchObject({ policy: 'threshold', remaskThreshold: 0.5 })
    expect([...first.fate]).toEqual([0, 0])
    const doubted = stepped(block, [mask, 6], options)
    expect(isFinished(doubted.block, doubted.change, 2)).toBe(false)
    expect([...planStep(doubted.block, mask, settings(options), stream).fate]).toEqual([1, 1])
  })
})

describe('ReMDM', () => {
  const at = (step: number, tokens: number[], options: GenerateOptions) => ({
    ...blockOf(tokens, { sampler: 'remdm', steps: 10, ...options }),
    step,
  })
  const chances = (step: number, remdm: NonNullable<GenerateOptions['remdm']>, tokens = [5, 6, mask, mask]) =>
    remdmChances(at(step, tokens, { remdm }), mask, settings({ remdm }))

  it('without remasking it is masked diffusion: (alpha_s - alpha_t) / (1 - alpha_t)', () => {
    for (const step of [0, 3, 8]) {
      const { fill, remask } = chances(step, { eta: 0 })
      expect(fill).toBeCloseTo(0.1 / (1 - step / 10), 12)
      expect([...remask]).toEqual([0, 0, 0, 0])
    }
  })

  it('cap, rescale and confidence keep the expected share of visible tokens', () => {
    // alpha_t (1 - sigma) + (1 - alpha_t) fill = alpha_s, whatever sigma is.
    for (const remdm of [{ eta: 0.1 }, { schedule: 'rescale', eta: 0.5 }] as const) {
      const { fill, remask } = chances(4, remdm)
      expect(0.4 * (1 - (remask[0] ?? 0)) + 0.6 * fill).toBeCloseTo(0.5, 12)
    }
    expect(chances(4, { eta: 0.1 }).remask[0]).toBeCloseTo(0.1, 12)
    expect(chances(4, { schedule: 'rescale', eta: 0.5 }).remask[0]).toBeCloseTo(0.5 * Math.min(1, 0.5 / 0.4), 12)
    const shared = chances(4, { schedule: 'confidence' }).remask
    expect((shared[0] ?? 0) + (shared[1] ?? 0)).toBeCloseTo(1, 12)
    expect(shared[2]).toBe(0)
  })

  it('confidence doubts what was filled in with less', () => {
    const block = at(4, [5, 6, mask, mask], {})
    const doubted = { ...block, filledWith: Float32Array.of(0.9, 0.1, 1, 1) }
    const { remask } = remdmChances(doubted, mask, settings({ remdm: { schedule: 'confidence' } }))
    expect((remask[1] ?? 0) / (remask[0] ?? 1)).toBeCloseTo(Math.exp(0.8), 6)
  })

  it('loop remasks between its two times only, and the last step fills everything', () => {
    const loop = { schedule: 'loop', eta: 0.1, loopFrom: 0.6, loopTo: 0.2, loopAlpha: 0.5 } as const
    expect(chances(2, loop).remask[0]).toBe(0)
    expect(chances(5, loop).remask[0]).toBeCloseTo(0.1, 12)
    expect(chances(5, loop).fill).toBeCloseTo(0.1, 12)
    expect(chances(8, loop).remask[0]).toBe(0)
    expect(chances(9, { eta: 1 }).fill).toBe(1)
    expect(chances(9, { eta: 1 }).remask[0]).toBe(0)
  })

  it('draws by key and step, never by the place in a batch', () => {
    const block = at(4, [5, 6, 7, mask, mask, mask, 8, 9], {})
    const options = settings({ sampler: 'remdm', steps: 10, remdm: { eta: 0.5 } })
    const fate = (key: number, draw: number) => [...planStep(block, mask, options, { key, draw }).fate]
    expect(fate(1, 4)).toEqual(fate(1, 4))
    const others = [2, 3, 4, 5].flatMap((key) => [fate(key, 4), fate(1, key + 10)])
    expect(others.some((other) => String(other) !== String(fate(1, 4)))).toBe(true)
  })
})
