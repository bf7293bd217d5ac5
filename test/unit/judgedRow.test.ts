// judgedRow: which tokens count as filled, and which of them are right, round by round.
import { expect, it } from 'vitest'
import type { Round } from '../../src/editor.js'
import { draftState } from '../../src/merge/rowState.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'
import { judgedRow } from '../../src/training/judgedRow.js'

const tokenizer = byteTokenizer()
const { mask } = tokenizer.special
const ids = (text: string): number[] =>
  [...text].map((letter) => (letter === '_' ? mask : (tokenizer.encode(letter)[0] ?? -1)))

function round(number: number, text: string, source: number[], confidence: number[]): Round {
  return {
    ...{
      row: 0,
      round: number,
      text: text.replaceAll('_', ''),
      gate: 1,
      edited: true,
      roundConfidence: 0,
      truncated: false,
    },
    tokens: Int32Array.from(ids(text)),
    keep: Float32Array.from([0.1, 0.9]),
    deleted: Int32Array.of(),
    inserted: [],
    source: Int32Array.from(source),
    confidence: Float32Array.from(confidence),
    edits: [],
    encoderPasses: 2,
  }
}

it('a mask that waits is judged when it is filled, a token that stays is judged once', () => {
  const first = round(1, 'ac_', [0, -1, -1], [1, 0.75, 0])
  const last = round(2, 'ac.', [0, 1, 2], [1, 0.75, 0.5])
  const draft = { text: 'ax', state: draftState(Int32Array.from(ids('ax'))) }
  const judged = judgedRow(tokenizer, { draft, rounds: [first, last], last, target: 'ab.', keepThreshold: 0.5 })
  expect(judged.fills).toEqual([
    { confidence: 0.75, isRight: false },
    { confidence: 0.5, isRight: true },
  ])
  expect(judged).toMatchObject({
    encoderPasses: 4,
    // x -> b and a full stop are wanted, x -> c and a full stop were made
    tokenEdits: { matched: 1, proposed: 2, wanted: 2 },
    // the deleter gives up the a and keeps the x
    deletions: { matched: 0, proposed: 1, wanted: 1 },
  })
})
