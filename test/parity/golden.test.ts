// The engine against PyTorch in Python: inner values, one refinement round, and three optimizer steps (test/golden/merge).
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NativeSession } from '../../src/native.js'
import { packRows } from '../../src/rows.js'
import { type Golden, goldenNames, numberOf, openGolden, refineOnce, worstError } from './golden.js'

const tolerance = 1e-4

describe.each(goldenNames)('the %s golden model', (name) => {
  let session: NativeSession
  let golden: Golden

  beforeAll(async () => {
    const opened = await openGolden(name)
    session = opened.session
    golden = opened.golden
  })
  afterAll(() => session.dispose())

  it('has the inner values of the twin', async () => {
    const outputs = Object.keys(golden.inspect)
    const arrays = await session.inspect(packRows(golden.rows), outputs)
    const errors = outputs.map((output) => [
      output,
      worstError(arrays[output]?.values ?? [], golden.inspect[output] ?? []),
    ])
    console.log(
      `${name}: worst error ${errors.map(([output, error]) => `${output} ${Number(error).toExponential(1)}`)}`,
    )
    for (const [output, error] of errors) expect(error, String(output)).toBeLessThanOrEqual(tolerance)
  })

  it('shapes them as rows, gaps and positions', async () => {
    const arrays = await session.inspect(packRows(golden.rows), ['hidden', 'logits', 'keep', 'gate', 'score', 'counts'])
    const tokens = golden.rows.reduce((sum, row) => sum + row.length, 0)
    const [positions, gaps] = [tokens + 2 * golden.rows.length, tokens + golden.rows.length]
    const config = (field: string) => numberOf(golden.config, field)
    expect(Object.fromEntries(Object.entries(arrays).map(([output, { shape }]) => [output, [...shape]]))).toEqual({
      hidden: [positions, config('width')],
      logits: [positions, config('vocabulary')],
      keep: [positions],
      gate: [golden.rows.length],
      score: [gaps],
      counts: [gaps, config('maxInsert') + 1],
    })
  })

  it('refines as the twin: the same tokens, with what each mask carries', async () => {
    const round = await refineOnce(session, golden.rows, numberOf(golden.config, 'maxLength'))
    expect([...round.tokens]).toEqual(golden.round.tokens)
    expect([...round.offsets]).toEqual(golden.round.offsets)
    expect([...round.source]).toEqual(golden.round.source)
    for (const output of ['confidence', 'keep', 'gate'] as const) {
      expect(worstError(round[output], golden.round[output] ?? []), output).toBeLessThanOrEqual(tolerance)
    }
  })

  // Last, since it changes the weights. Errors grow from step to step: Adam divides small gradients by their own size.
  it('trains as PyTorch does: terms, gradient norm and AdamW', async () => {
    const errors: number[] = []
    for (const [step, expected] of golden.reports.entries()) {
      const report = await session.trainStep(
        { ...golden.step, step },
        packRows(golden.drafts),
        packRows(golden.targets),
      )
      const names = Object.keys(expected)
      errors.push(
        worstError(
          names.map((term) => (report[term] ?? Number.NaN) / (expected[term] ?? 0)),
          names.map(() => 1),
        ),
      )
    }
    console.log(`${name}: worst relative error of steps 0, 1, 2: ${errors.map((error) => error.toExponential(1))}`)
    expect(errors[0]).toBeLessThanOrEqual(1e-5)
    expect(Math.max(...errors)).toBeLessThanOrEqual(1e-4)
  })
})
