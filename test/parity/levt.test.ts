// The Levenshtein Transformer: against PyTorch in Python (test/golden/levt/make.py), row by row, and trained.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  evaluateModel,
  GptModel,
  type LevtFigures,
  LevtModel,
  type LevtRecipe,
  type LevtRecipeOptions,
  levtConfig,
  levtRecipe,
  Trainer,
  trainCharacterTokenizer,
} from '../../src/index.js'
import { loadNative, type NativeSession } from '../../src/native.js'
import { sessionKey } from '../../src/openModel.js'
import { randomFrom } from '../../src/random.js'
import { packRows, rowRange } from '../../src/rows.js'
import { worstError } from './golden.js'

const path = (name: string) => fileURLToPath(new URL(`../golden/levt/${name}`, import.meta.url))
const rows = z.array(z.array(z.int()).transform((row) => Int32Array.from(row)))
const record = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()]))
const numbers = z.record(z.string(), z.array(z.number()))
const golden = z.strictObject({
  config: record,
  rows,
  inspect: numbers,
  emptyPenalty: z.number(),
  round: numbers,
  step: record,
  drafts: rows,
  targets: rows,
  reports: z.array(z.record(z.string(), z.number())),
})
const tolerance = 1e-4
const maxLength = 24

let scratch = ''
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'merge-lm-levt-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const readGolden = async () => golden.parse(JSON.parse(await readFile(path('levt.json'), 'utf8')))

async function openGolden(): Promise<NativeSession> {
  const native = await loadNative()
  await native.start(2)
  const session = await native.open((await readGolden()).config)
  await session.load(path('levt.safetensors'), 'model')
  return session
}

interface Limits {
  readonly locked?: Uint8Array
  readonly open?: Uint8Array
}

function refineOnce(session: NativeSession, given: readonly Int32Array[], emptyPenalty: number, limits: Limits = {}) {
  const packed = packRows(given)
  const locked = limits.locked ?? new Uint8Array(packed.tokens.length)
  const open = limits.open ?? new Uint8Array(packed.tokens.length + given.length).fill(1)
  return session.refineRound({ keepThreshold: 0.5, emptyPenalty, shift: -1 }, packed, locked, open)
}

describe('the golden model', () => {
  let session: NativeSession
  beforeAll(async () => {
    session = await openGolden()
  })
  afterAll(() => session.dispose())

  it('has the inner values of the twin', async () => {
    const { inspect, rows } = await readGolden()
    const arrays = await session.inspect(packRows(rows), Object.keys(inspect))
    for (const [output, values] of Object.entries(inspect)) {
      const error = worstError(arrays[output]?.values ?? [], values)
      console.log(`${output}: worst error ${error.toExponential(1)}`)
      expect(error, output).toBeLessThanOrEqual(tolerance)
    }
  })

  it('deletes, inserts and fills as the twin, with the penalty of no placeholder', async () => {
    const { rows, round, emptyPenalty } = await readGolden()
    const done = await refineOnce(session, rows, emptyPenalty)
    expect([...done.tokens]).toEqual(round.tokens)
    expect([...done.offsets]).toEqual(round.offsets)
    expect([...done.source]).toEqual(round.source)
    for (const output of ['confidence', 'keep'] as const) {
      expect(worstError(done[output], round[output] ?? []), output).toBeLessThanOrEqual(tolerance)
    }
    const plain = await refineOnce(session, rows, 0)
    const none = await refineOnce(session, rows, 1e6)
    expect(plain.tokens.length).toBeLessThanOrEqual(done.tokens.length)
    expect(none.tokens.length).toBeGreaterThan(done.tokens.length)
  })

  it('leaves locked tokens and closed gaps alone, and keeps to maxLength', async () => {
    const { rows } = await readGolden()
    const packed = packRows(rows)
    const locked = new Uint8Array(packed.tokens.length).fill(1)
    const closed = await refineOnce(session, rows, 0, { locked, open: new Uint8Array(locked.length + rows.length) })
    expect([...closed.tokens]).toEqual([...packed.tokens])
    expect(closed.encoderPasses).toBe(1)
    // A penalty this large puts something into every gap, and still the row stays within its length.
    const full = await refineOnce(session, rows, 1e6, { locked })
    const longest = rows.map((_, r) => rowRange(full, r)).map(([start, end]) => end - start)
    expect(Math.max(...longest)).toBe(maxLength)
    expect([...full.truncated]).toContain(1)
    for (const [r, row] of rows.entries()) {
      const [start, end] = rowRange(full, r)
      const kept = [...full.tokens.slice(start, end)].filter((_, i) => (full.source[start + i] ?? -1) >= 0)
      expect(kept).toEqual([...row])
    }
  })

  it('gives a row alone what it gives it in a batch', async () => {
    const random = randomFrom(1, 0, 0, 'levt.test')
    const batch = [0, 1, maxLength, 7, 3, 12, 20, 0, 5].map((length) =>
      Int32Array.from({ length }, () => 5 + random.integer(24)),
    )
    const packed = packRows(batch)
    const together = await refineOnce(session, batch, 0)
    let worst = 0
    for (const [r, row] of batch.entries()) {
      const alone = await refineOnce(session, [row], 0)
      const [start, end] = rowRange(together, r)
      expect([...together.tokens.slice(start, end)], `row ${r}`).toEqual([...alone.tokens])
      expect([...together.source.slice(start, end)]).toEqual([...alone.source])
      expect(together.truncated[r]).toBe(alone.truncated[0])
      worst = Math.max(worst, worstError(together.confidence.slice(start, end), alone.confidence))
      worst = Math.max(worst, worstError(together.keep.slice(...rowRange(packed, r)), alone.keep))
    }
    console.log(`worst difference between a row alone and in a batch ${worst.toExponential(1)}`)
    expect(worst).toBeLessThanOrEqual(tolerance)
  })

  it('refuses what the engine cannot do', async () => {
    const { rows, step, drafts, targets } = await readGolden()
    const packed = packRows(rows)
    const flags = [new Uint8Array(packed.tokens.length), new Uint8Array(packed.tokens.length + rows.length)] as const
    const options = { keepThreshold: 0.5, emptyPenalty: 0, shift: -1 }
    await expect(session.refineRound(options, packed, ...flags, packed)).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    const { shift: _, ...incomplete } = options
    await expect(session.refineRound(incomplete, packed, ...flags)).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await expect(session.refineRound({ ...options, emptyPenalty: -1 }, packed, ...flags)).rejects.toMatchObject({
      code: 'ERR_CONFIG',
    })
    const [x, y] = [packRows(drafts), packRows(targets)]
    await expect(session.evaluate({ ...step, ownFill: 2, step: 0 }, x, y)).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    await expect(session.evaluate({ ...step, step: 0 }, x, packRows(targets.slice(1)))).rejects.toMatchObject({
      code: 'ERR_SHAPE',
    })
    await expect(session.inspect(packed, ['gate'])).rejects.toMatchObject({ code: 'ERR_INPUT' })
  })

  it('weighs micro-batches by their rows', async () => {
    const { step, drafts, targets } = await readGolden()
    const run = (accumulation: number, from: number, to: number) =>
      session.evaluate(
        { ...step, step: 0, accumulation },
        packRows(drafts.slice(from, to)),
        packRows(targets.slice(from, to)),
      )
    const [whole, first, second] = [await run(2, 0, 8), await run(1, 0, 4), await run(1, 4, 8)]
    for (const term of ['total', 'deletion', 'placeholder', 'token'] as const) {
      expect(whole[term]).toBeCloseTo(((first[term] ?? 0) + (second[term] ?? 0)) / 2, 5)
    }
  })

  // Last, since it changes the weights.
  it('trains as PyTorch does: terms, gradient norm and AdamW', async () => {
    const { step, drafts, targets, reports } = await readGolden()
    for (const [number, expected] of reports.entries()) {
      const report = await session.trainStep({ ...step, step: number }, packRows(drafts), packRows(targets))
      const names = Object.keys(expected)
      const error = worstError(
        names.map((term) => (report[term] ?? Number.NaN) / (expected[term] ?? 0)),
        names.map(() => 1),
      )
      console.log(`step ${number}: worst relative error ${error.toExponential(1)}`)
      expect(error).toBeLessThanOrEqual(tolerance)
    }
  })
})

const letters = 'abcdefghijklmnop'
const tokenizer = trainCharacterTokenizer([letters], { caseShift: false })
const shape = { layers: 2, width: 64, heads: 4, maxLength: 32, tokenizer, seed: 1 }

// Targets of ten letters; their drafts have one wrong, one missing and two too many.
const examples = Array.from({ length: 64 }, (_, i) => {
  const letter = (place: number) => letters[place % 16] ?? ''
  const target = Array.from({ length: 10 }, (_, j) => letter(i * 7 + j * 5 + ((i * j) >> 2)))
  const source = [...target]
  source[(i * 3) % 10] = letter(i * 11 + 5)
  source.splice((i * 5) % 9, 1)
  source.splice((i * 2) % 9, 0, letter(i + 9), letter(i * 5))
  return { source: source.join(''), target: target.join('') }
})
const onlyTask = { task: 1, noised: 0, subsequence: 0, empty: 0, fragment: 0, finished: 0 }
const options = { batchRows: 64, learningRate: 4e-3, clip: 1, drafts: onlyTask } satisfies LevtRecipeOptions

describe('training', () => {
  it('learns 64 rows by heart, and comes back as it was saved', async () => {
    await using student = await LevtModel.create(shape)
    const trainer = new Trainer(student, {
      ...options,
      steps: 220,
      learningRate: { linear: { from: 5e-3, to: 0, share: 1 } },
    })
    for await (const _ of trainer.run(examples));
    const drafts = examples.map(({ source }) => source)
    const results = await student.edit(drafts)
    const right = results.filter(({ text }, i) => text === examples[i]?.target).length
    const rounds = results.reduce((sum, result) => sum + result.rounds, 0) / 64
    console.log(`${right} of 64 rows exact, ${rounds.toFixed(2)} rounds`)
    expect(right).toBeGreaterThanOrEqual(63)
    const evaluation = await evaluateModel(student, examples, { maxRounds: 10 })
    expect(evaluation.exact).toEqual({ value: right / 64, n: 64 })
    expect(evaluation.deletion.f1.value).toBeGreaterThan(0.98)
    expect(evaluation.tokenEdits.f05.value).toBeGreaterThan(0.98)
    // One round more than the edits take: it changes nothing.
    const [, first = ''] = drafts
    const seen = []
    for await (const round of student.refine(first)) seen.push(round)
    expect(seen.at(-1)).toMatchObject({ text: results[1]?.text, stopReason: 'converged', edits: [], encoderPasses: 1 })
    expect(seen[0]?.encoderPasses).toBe(3)
    const { text, edits } = await student.edit({ text: first, locked: [[0, first.length]] })
    expect(edits.every(({ start, end }) => start === end && (start === 0 || start === first.length))).toBe(true)
    expect(text).toContain(first)
    const folder = join(scratch, 'student')
    await student.save(folder)
    await using loaded = await LevtModel.load(folder)
    expect(await loaded.edit(drafts)).toEqual(results)
    await expect(GptModel.load(folder)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
  })

  it('needs its own fills: without them it does not know when it is done', async () => {
    const rightAfter = async (recipe: LevtRecipeOptions) => {
      await using student = await LevtModel.create(shape)
      for await (const _ of new Trainer(student, { ...options, steps: 60, ...recipe }).run(examples));
      const { exact } = await evaluateModel(student, examples)
      return exact.value ?? 0
    }
    const [both, alone] = [await rightAfter({}), await rightAfter({ ownFill: 0, subsequence: 0 })]
    console.log(`exact after 60 steps: ${both} by the dual policy, ${alone} on drafts alone`)
    expect(both).toBeGreaterThan(alone)
  })

  it('goes on from a checkpoint with the same bits', async () => {
    const recipe = { ...options, steps: 6, ownDeletion: 0.5, accumulation: 2 }
    const reportsOf = async (trainer: Trainer<LevtModel, LevtRecipeOptions, LevtRecipe, LevtFigures>, most: number) => {
      const found: object[] = []
      for await (const { step, total, terms, gradientNorm } of trainer.run(examples)) {
        found.push({ step, total, terms, gradientNorm })
        if (found.length === most) break
      }
      return found
    }
    await using model = await LevtModel.create(shape)
    const whole = await reportsOf(new Trainer(model, recipe), 6)
    await using other = await LevtModel.create(shape)
    const stopped = new Trainer(other, recipe)
    expect(await reportsOf(stopped, 3)).toEqual(whole.slice(0, 3))
    const folder = join(scratch, 'checkpoint')
    await stopped.save(folder)
    const resumed = await Trainer.resume(folder, {}, LevtModel)
    expect(await reportsOf(resumed, 6)).toEqual(whole.slice(3))
    const weights = async (from: LevtModel, name: string) => {
      await from[sessionKey].save(join(scratch, name), 'model')
      return readFile(join(scratch, name))
    }
    expect(await weights(resumed.model, 'resumed')).toEqual(await weights(model, 'whole'))
    await resumed.model.dispose()
  })
})

describe('options', () => {
  it('are refused in words', async () => {
    const code = { code: 'ERR_CONFIG' }
    await expect(LevtModel.create({ ...shape, heads: 3 })).rejects.toMatchObject(code)
    await expect(LevtModel.create({ ...shape, ...{ deleter: 'block' } })).rejects.toThrow(/deleter/)
    await using model = await LevtModel.create(shape)
    await expect(model.edit('abc', { emptyPenalty: -1 })).rejects.toThrow(/emptyPenalty: expected 0\.\.1000000/)
    await expect(model.edit('abc', { maxRounds: 1, ...{ editThreshold: 0.5 } })).rejects.toThrow(/editThreshold/)
    await expect(model.edit({ text: 'abc', condition: 'a' })).rejects.toMatchObject(code)
    await expect(model.edit('abc', { maxRounds: 1, ...{ condition: 'a' } })).rejects.toThrow(/condition/)
    await expect(model.edit('a'.repeat(33))).rejects.toMatchObject({ code: 'ERR_INPUT' })
    expect(() => new Trainer(model, { ownFill: 1.5 })).toThrow(/recipe\.ownFill: expected 0\.\.1/)
    expect(() => new Trainer(model, { steps: 1, ...{ rounds: 2 } })).toThrow(/recipe\.rounds/)
    expect(levtRecipe.parse({})).toMatchObject({ ownFill: 0.5, subsequence: 0.5, ownDeletion: 0, steps: 10_000 })
    expect(levtConfig.parse({})).toMatchObject({ layers: 3, localMix: 7, positions: 'rope', maxInsert: 16 })
  })
})
