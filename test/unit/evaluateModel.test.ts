// evaluateModel over a fake session: every figure by hand, what is left out, and long lists.
import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../src/config.js'
import { modelOver } from '../../src/model.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { loseCase } from '../../src/text/corruption.js'
import { evaluateModel } from '../../src/training/evaluate.js'
import { type FakePiece, fakeSession } from './fakeSession.js'
import { stretchesDuring } from './stretches.js'

const tokenizer = byteTokenizer()
const idOf = (letter: string): number => tokenizer.encode(letter)[0] ?? -1

// Deletes every x, and ends every row with a full stop: sure of it, unless the row ends with a question mark.
const session = fakeSession({
  round: ({ tokens }) => {
    const kept: FakePiece[] = tokens.flatMap((id, keep) => (id === idOf('x') ? [] : [{ keep }]))
    if (tokens.at(-1) === idOf('.')) return kept
    return [...kept, { insert: idOf('.'), confidence: tokens.at(-1) === idOf('?') ? 0.25 : 0.875 }]
  },
})
const model = await modelOver(session, modelConfig.parse({ maxLength: 24 }), tokenizer)

describe('evaluateModel', () => {
  it('measures everything against the oracle', async () => {
    const evaluation = await evaluateModel(model, [
      { source: 'axb', target: 'ab.' }, // edits: x deleted, full stop inserted; both right
      { source: 'a?', target: 'a?' }, // a full stop that is wrong
      { source: 'c.', target: 'cd.' }, // a letter that stays missing
      { source: 'ax.', target: 'ax.' }, // an x that should stay
    ])
    expect(evaluation).toMatchObject({
      examples: 4,
      leftOut: 0,
      exact: { value: 0.25, n: 4 },
      exactNothing: { value: 0.5, n: 4 },
      overCorrection: { value: 0.5, n: 4 },
      tokenEdits: {
        matched: 2,
        precision: { value: 0.5, n: 4 },
        recall: { value: 2 / 3, n: 3 },
        f05: { value: (1.25 * 2) / (0.25 * 3 + 4), n: 5 },
      },
      // words: axb -> ab and a full stop; a full stop; c -> cd; ax -> a
      wordEdits: { matched: 2, proposed: 4, wanted: 3 },
      deletion: { matched: 1, proposed: 2, wanted: 1, f1: { value: 2 / 3, n: 2 }, tokens: 10 },
      fillAccuracy: { value: 0.75 - 0.25, n: 2 },
      calibration: {
        wrong: 1,
        auroc: { value: 1, n: 2 },
        ece: { value: (0.25 + 0.125) / 2, n: 2 },
        brier: { value: (0.25 ** 2 + 0.125 ** 2) / 2, n: 2 },
      },
    })
  })

  it('a perfect edit and a clean text', async () => {
    const evaluation = await evaluateModel(model, [{ source: 'ax', target: 'a.' }])
    const whole = { value: 1, n: 1 }
    expect(evaluation).toMatchObject({ exact: whole, overCorrection: { value: 0, n: 1 }, fillAccuracy: whole })
    expect(evaluation.wordEdits).toMatchObject({ precision: { value: 1 }, recall: { value: 1 }, f05: { value: 1 } })
    expect(evaluation.calibration.auroc.value).toBeNull()
  })

  it('the threshold of the deleter is that of the options', async () => {
    // the fake deleter's keep probabilities are .875 and .25
    const { deletion } = await evaluateModel(model, [{ source: 'axb', target: 'ab.' }], { keepThreshold: 0.2 })
    expect(deletion).toMatchObject({ proposed: 0, wanted: 1, precision: { value: null, n: 0 } })
  })

  it('counts rounds and encoder passes', async () => {
    const { meanRounds, meanEncoderPasses } = await evaluateModel(
      model,
      [
        { source: 'a.', target: 'a.' },
        { source: 'a', target: 'a.' },
      ],
      { confidenceThreshold: 1 },
    )
    expect(meanRounds).toEqual({ value: 1.5, n: 2 })
    expect(meanEncoderPasses).toEqual({ value: 3, n: 2 })
  })

  it('leaves out rows that the model cannot hold, and counts them', async () => {
    const long = 'a'.repeat(25)
    const evaluation = await evaluateModel(model, [
      { source: long, target: 'a.' },
      { source: 'a', target: long },
      { source: 'a', target: 'a.' },
    ])
    expect(evaluation).toMatchObject({ examples: 1, leftOut: 2, exact: { value: 1, n: 1 } })
  })

  it('drafts from a corruption; nothing to measure is null; a draft is needed', async () => {
    const evaluation = await evaluateModel(model, [{ target: 'A.' }], { corruption: loseCase() })
    expect(evaluation).toMatchObject({ exact: { value: 0 }, exactNothing: { value: 0 }, fillAccuracy: { value: null } })
    expect(await evaluateModel(model, [])).toMatchObject({ examples: 0, exact: { value: null, n: 0 } })
    const message = 'example 0: expected a source or a corruption, received neither'
    await expect(evaluateModel(model, [{ target: 'a' }])).rejects.toMatchObject({ code: 'ERR_INPUT', message })
  })

  it('batches hold at most so many rows, and an abort ends it', async () => {
    const examples = Array.from({ length: 5 }, (_, index) => ({ source: `${index}`, target: `${index}.` }))
    session.calls.length = 0
    await evaluateModel(model, examples, { batchRows: 2 })
    expect(Math.max(...session.calls)).toBe(2)
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(evaluateModel(model, examples, { signal })).rejects.toThrow('enough')
  })

  it('batches of long rows hold fewer of them', async () => {
    const wide = await modelOver(session, modelConfig.parse({ maxLength: 1024 }), tokenizer)
    const examples = Array.from({ length: 20 }, () => ({ source: 'a'.repeat(1000), target: 'b.' }))
    session.calls.length = 0
    expect(await evaluateModel(wide, examples)).toMatchObject({ examples: 20, leftOut: 0 })
    // two rounds each, then the finished texts
    expect(session.calls).toEqual([8, 8, 8, 8, 4, 4, 20])
  })

  it('a long list never holds the event loop', async () => {
    const examples = Array.from({ length: 4000 }, (_, index) => ({ source: `the ${index} x`, target: `the ${index}.` }))
    const stretches = await stretchesDuring(() => evaluateModel(model, examples))
    // The garbage collector takes its share, so a few longer stretches are no fault.
    expect(stretches.length).toBeGreaterThan(20)
    expect(stretches[Math.floor(stretches.length * 0.9)]).toBeLessThan(20)
  })
})
