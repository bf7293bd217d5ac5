// Show: the first held-out sentences, none selected, repaired, filled in and continued, round by round.

import { type Example, type MergeModel, type Random, randomFrom } from 'merge-lm'
import type { TraceLine } from '#cli/trace.js'
import { type TracedEdit, tracedEdit, tracedGenerate, tracedInfill } from '#cli/tracedEdit.js'
import { stripped } from './evaluation.js'

/** A text on its way through the rounds. */
export interface Shown {
  /** How the model was asked. */
  readonly task: 'edit' | 'auto' | 'infill' | 'continue'
  /** What a reader compares with; absent for a continuation. */
  readonly target?: string
  readonly text: string
  readonly lines: readonly TraceLine[]
}

/** Ten sentences in mode edit, five in auto (clean and sloppy in turn), five with a hole, two to continue. */
export async function demonstrate(
  model: MergeModel,
  { heldOut, seed, signal }: { heldOut: readonly Example[]; seed: number; signal: AbortSignal },
): Promise<Shown[]> {
  const shown: Shown[] = []
  const add = (task: Shown['task'], { result, lines }: TracedEdit, target?: string): void => {
    shown.push({ task, text: result.text, lines, ...(target === undefined ? {} : { target }) })
  }
  const pairs = stripped(heldOut)
  const next = (count: number) => pairs.splice(0, count)
  for (const { source, target } of next(10)) {
    add('edit', await tracedEdit(model, source, { mode: 'edit', signal }), target)
  }
  for (const [index, { source, target }] of next(5).entries()) {
    add('auto', await tracedEdit(model, index % 2 === 0 ? target : source, { signal }), target)
  }
  for (const [index, { target }] of next(5).entries()) {
    const holed = withHole(target, randomFrom(seed, 0, index, 'hole'))
    add('infill', await tracedInfill(model, holed, { ...writing, signal }), target)
  }
  for (const { target } of next(2)) {
    add('continue', await tracedGenerate(model, `${target.split(' ').slice(0, 4).join(' ')} `, { ...writing, signal }))
  }
  return shown
}

// Where much is to be written, the surest letters come first and the others wait for them.
const writing = { fillThreshold: 0.5, maxRounds: 24 }

// One word, drawn by lot, becomes a hole.
function withHole(sentence: string, random: Random): string {
  const words = sentence.split(' ')
  words[random.integer(words.length)] = '___'
  return words.join(' ')
}
