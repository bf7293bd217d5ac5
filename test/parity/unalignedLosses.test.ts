// The engine's literal and unaligned losses against their float64 references: values in both widths, gradients by central
// differences of the reference.
import { describe, expect, it } from 'vitest'
import { axeLoss, ctcLoss, oaxeLoss } from '../../src/merge/alignmentLosses.js'
import {
  literalCompressionLoss,
  literalGateLoss,
  literalLengthLoss,
  literalPointerLoss,
  literalReconLoss,
} from '../../src/merge/literalLosses.js'
import { loadNative, type NativeOp, type NativeRecord } from '../../src/native.js'
import type { Floats } from '../../src/ops/straightThrough.js'
import { type Random, randomFrom } from '../../src/random.js'

const vocabulary = 7
const blank = 0
const penalty = 1.5
const keepReduction = 0.2
const gateCost = 0.05
const relative = 1e-6

interface Case {
  readonly op: NativeOp
  readonly options: NativeRecord
  /** Arrays that have a gradient; the others are whole numbers. */
  readonly inputs: Readonly<Record<string, Float64Array>>
  readonly rows: Readonly<Record<string, Int32Array>>
  readonly reference: (inputs: Readonly<Record<string, Floats>>) => number
}

const floats = (random: Random, count: number, low = -3, high = 3) =>
  // Rounded to float32, so that both widths are given the same numbers.
  Float64Array.from({ length: count }, () => Math.fround(low + (high - low) * random.next()))
const offsetsOf = (lengths: readonly number[]) => {
  const offsets = [0]
  for (const length of lengths) offsets.push((offsets.at(-1) ?? 0) + length)
  return Int32Array.from(offsets)
}
const none = new Float64Array()

function casesOf(seed: number): Case[] {
  const random = randomFrom(seed, 0, 0, 'unaligned.parity')
  const lengths = [0, 3, ...Array.from({ length: 6 }, () => random.integer(9))]
  const offsets = offsetsOf(lengths)
  const targetOffsets = offsetsOf([0, 0, ...Array.from({ length: 6 }, () => random.integer(8))])
  const count = offsets.at(-1) ?? 0
  const targets = Int32Array.from({ length: targetOffsets.at(-1) ?? 0 }, () => 1 + random.integer(vocabulary - 1))
  const positions = { offsets, targets, targetOffsets }
  const logits = floats(random, count * vocabulary)
  const tokens = floats(random, count)
  const gate = floats(random, lengths.length, 0, 1)
  const gateLogits = floats(random, lengths.length)
  const onPositions = (op: NativeOp, options: NativeRecord, reference: (logits: Floats) => number): Case => {
    return { op, options, inputs: { logits }, rows: positions, reference: (given) => reference(given.logits ?? none) }
  }
  const input = { ...positions, vocabulary, blank, penalty }
  return [
    onPositions('literalRecon', { vocabulary }, (given) => literalReconLoss({ ...input, logits: given })),
    onPositions('axe', { vocabulary, blank, penalty }, (given) => axeLoss({ ...input, logits: given })),
    onPositions('oaxe', { vocabulary, blank }, (given) => oaxeLoss({ ...input, logits: given })),
    onPositions('ctc', { vocabulary, blank }, (given) => ctcLoss({ ...input, logits: given })),
    {
      op: 'literalCompression',
      options: { keepReduction },
      inputs: { keepLogits: tokens, gate },
      rows: { offsets },
      reference: (given) =>
        literalCompressionLoss({
          keepLogits: given.keepLogits ?? none,
          gate: given.gate ?? none,
          offsets,
          keepReduction,
        }),
    },
    {
      op: 'literalPointer',
      options: {},
      inputs: { scores: tokens },
      rows: { offsets },
      reference: ({ scores = none }) => literalPointerLoss(scores, offsets),
    },
    {
      op: 'literalGate',
      options: { gateCost },
      inputs: { gateLogits },
      rows: {},
      reference: (given) => literalGateLoss(given.gateLogits ?? none, gateCost),
    },
    {
      op: 'literalLength',
      options: {},
      inputs: { keepLogits: tokens },
      rows: { offsets },
      reference: ({ keepLogits = none }) => literalLengthLoss(keepLogits, offsets),
    },
  ]
}

const lossOf = async ({ op, options, rows }: Case, inputs: Readonly<Record<string, Floats>>) =>
  (await loadNative()).runOp(op, options, { ...rows, ...inputs })

describe.each([1, 2, 3, 4, 5])('seed %d', (seed) => {
  it.each(casesOf(seed).map((each) => [each.op, each] as const))('%s', async (_, each) => {
    const expected = each.reference(each.inputs)
    expect(expected).toBeGreaterThan(0)
    const wide = await lossOf(each, each.inputs)
    expect(Math.abs((wide.loss?.[0] ?? Number.NaN) / expected - 1)).toBeLessThanOrEqual(1e-12)
    const narrowed = Object.entries(each.inputs).map(([name, values]) => [name, Float32Array.from(values)] as const)
    const narrow = await lossOf(each, Object.fromEntries(narrowed))
    expect(Math.abs((narrow.loss?.[0] ?? Number.NaN) / expected - 1)).toBeLessThanOrEqual(relative)
    for (const [name, values] of Object.entries(each.inputs)) {
      for (let i = 0; i < values.length; i += 3) {
        const at = (by: number) => ({
          ...each.inputs,
          [name]: values.map((value, j) => (j === i ? value + by : value)),
        })
        const difference = (each.reference(at(1e-5)) - each.reference(at(-1e-5))) / 2e-5
        expect(wide[`${name}Gradient`]?.[i]).toBeCloseTo(difference, 7)
      }
    }
  })
})
