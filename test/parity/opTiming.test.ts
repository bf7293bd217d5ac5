// What the benchmark asks of the engine: times of an op and of its reference, and where the time of calls goes.
import { expect, test } from 'vitest'
import { opShares } from '../../src/bench/opShares.js'
import { type OpTimingOptions, timedOps, timeOp } from '../../src/bench/opTiming.js'
import { loadNative } from '../../src/native.js'

const native = await loadNative()
await native.start(1)
const sizes = { rows: 2, length: 5, width: 16, heads: 2, feedForward: 24, layers: 2, vocabulary: 40 }
const shape = { ...sizes, dtype: 'float32' } as const
const options = (op: OpTimingOptions['op'], backward: boolean) => ({ op, ...shape, backward, pairs: 3 })

test.each(timedOps)('%s: as many times as pairs, of both', async (op, hasBackward) => {
  for (const backward of hasBackward ? [false, true] : [false]) {
    const { fast, reference } = await timeOp(native, options(op, backward))
    expect([fast.length, reference.length]).toEqual([3, 3])
    expect(Math.min(...fast, ...reference)).toBeGreaterThan(0)
  }
  if (!hasBackward) await expect(timeOp(native, options(op, true))).rejects.toMatchObject({ code: 'ERR_CONFIG' })
})

test.each([
  ['encoderGemms', false],
  ['headLoss', true],
  ['headLossWhole', true],
] as const)('%s has no reference', async (op, backward) => {
  const { fast, reference } = await timeOp(native, options(op, backward))
  expect([fast.length, reference.length]).toEqual([3, 0])
})

test('an op that is not timed is refused', async () => {
  const unknown = native.runOp('timeOp', { ...options('rope', false), op: 'sort' }, {})
  await expect(unknown).rejects.toThrow('op: expected one that is timed, received another')
})

test('matrices are matrices, attention is attention, and what ends is not recorded', async () => {
  const large = { ...shape, rows: 1, length: 512, width: 256, feedForward: 512 }
  const matrices = await opShares(() => timeOp(native, { op: 'encoderGemms', ...large, backward: false, pairs: 4 }))
  expect(matrices.gemmShare).toBeGreaterThan(0.5)
  expect(matrices.attentionShare).toBe(0)
  const attention = await opShares(() => timeOp(native, { op: 'raggedAttention', ...large, backward: false, pairs: 4 }))
  expect(attention.attentionShare).toBeGreaterThan(0.1)
  expect(await native.runOp('profileOps', { begin: false }, {})).toEqual({})
})
