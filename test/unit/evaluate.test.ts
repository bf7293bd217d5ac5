// evaluateEdits over a fake session: what is counted, and against what.
import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../src/config.js'
import { modelOver } from '../../src/model.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { loseCase } from '../../src/text/corruption.js'
import { evaluateEdits } from '../../src/training/evaluate.js'
import { fakeSession } from './fakeSession.js'

const tokenizer = byteTokenizer()
const dot = tokenizer.encode('.')[0] ?? -1

// Ends every row with a full stop, whether it needs one or not.
const model = await modelOver(
  fakeSession({
    round: ({ tokens }) => {
      const kept = tokens.map((_, keep) => ({ keep }))
      return tokens.at(-1) === dot ? kept : [...kept, { insert: dot }]
    },
  }),
  modelConfig.parse({}),
  tokenizer,
)

describe('evaluateEdits', () => {
  it('counts exact matches, damage to finished texts and rounds', async () => {
    const evaluation = await evaluateEdits(model, [
      { source: 'a', target: 'a.' },
      { source: 'b', target: 'B.' },
      { source: 'c?', target: 'c?' },
      { source: 'd.', target: 'd.' },
    ])
    expect(evaluation).toMatchObject({
      examples: 4,
      exact: 0.5,
      exactNothing: 0.5,
      cleanDamaged: 0.25,
      meanRounds: 1.75,
    })
    expect(evaluation.results[1]).toMatchObject({ source: 'b', target: 'B.', result: { text: 'b.' } })
  })

  it('makes drafts by a corruption, the same for the same seed', async () => {
    const evaluation = await evaluateEdits(model, [{ target: 'A.' }, { target: 'b.' }], { corruption: loseCase() })
    expect(evaluation).toMatchObject({ exact: 0.5, exactNothing: 0.5, cleanDamaged: 0 })
  })

  it('is 0 over an empty set', async () => {
    expect(await evaluateEdits(model, [])).toMatchObject({ exact: 0, cleanDamaged: 0, meanRounds: 0 })
  })

  it('needs a draft', async () => {
    const message = 'example 0: expected a source or a corruption, received neither'
    await expect(evaluateEdits(model, [{ target: 'a' }])).rejects.toMatchObject({ code: 'ERR_INPUT', message })
  })
})
