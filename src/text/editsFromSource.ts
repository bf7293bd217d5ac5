// editsFromSource: the edit script of a round, read off the model's own trace instead of a comparison of texts.

import { MergeError } from '../errors.js'
import { type Edit, graphemes } from './editScript.js'

/** What a round did, in tokens and in text. */
export interface RoundTrace {
  /** Each token's share of the text before (`tokenizer.pieces`). */
  readonly before: readonly string[]
  /** Each token's share of the text after. */
  readonly after: readonly string[]
  /** For each token after: its index before, or -1 where it was inserted. Increasing where not -1. */
  readonly source: Int32Array
  /** For each token after: probability of the token, 0..1. */
  readonly confidence?: Float32Array
  /** For each token before: keep probability, 0..1. */
  readonly keep?: Float32Array
}

/**
 * The edit script that the trace tells, keeps included: `applyEdits(before.join(''), edits) === after.join('')`.
 * An edit's confidence is the lowest of its decisions: probability of what was filled in, 1 - keep probability of what
 * was deleted, keep probability of what was kept.
 */
export function editsFromSource(trace: RoundTrace): Edit[] {
  checkTrace(trace)
  const { before, after, source } = trace
  const starts = prefixLengths(before)
  const startsAfter = prefixLengths(after)
  const isBoundary = boundaries(before.join(''))
  const isBoundaryAfter = boundaries(after.join(''))
  const edits: Edit[] = []
  let done = { before: 0, after: 0 }

  // Everything from `done` up to these tokens becomes one edit, and joins the last one if that is a keep too.
  const close = (toBefore: number, toAfter: number): void => {
    const from = done
    done = { before: toBefore, after: toAfter }
    const text = after.slice(from.after, toAfter).join('')
    const old = before.slice(from.before, toBefore).join('')
    if (text === '' && old === '') return
    const kind = text === old ? 'keep' : text === '' ? 'delete' : old === '' ? 'insert' : 'replace'
    const sure = confidenceOf(trace, from, done)
    const last = edits.at(-1)
    const joined = kind === 'keep' && last?.kind === 'keep' ? edits.pop() : undefined
    const lowest = Math.min(sure ?? 1, joined?.confidence ?? 1)
    edits.push({
      kind,
      start: joined?.start ?? at(starts, from.before),
      end: at(starts, toBefore),
      startAfter: joined?.startAfter ?? at(startsAfter, from.after),
      endAfter: at(startsAfter, toAfter),
      text: (joined?.text ?? '') + text,
      ...(sure === undefined ? {} : { confidence: lowest }),
    })
  }

  source.forEach((index, position) => {
    if (index < 0 || before[index] === '' || before[index] !== after[position]) return
    // A token that is only part of what a reader sees as one character is no place to cut.
    const whole = isBoundary(at(starts, index)) && isBoundary(at(starts, index + 1))
    const wholeAfter = isBoundaryAfter(at(startsAfter, position)) && isBoundaryAfter(at(startsAfter, position + 1))
    if (!whole || !wholeAfter) return
    close(index, position)
    close(index + 1, position + 1)
  })
  close(before.length, after.length)
  return edits
}

/** The source map of two rounds, one after the other. */
export function composeSource(first: Int32Array, second: Int32Array): Int32Array {
  return second.map((index) => (index < 0 ? -1 : (first[index] ?? -1)))
}

interface Place {
  readonly before: number
  readonly after: number
}

function confidenceOf({ source, confidence, keep }: RoundTrace, from: Place, to: Place): number | undefined {
  if (confidence === undefined && keep === undefined) return undefined
  const kept = new Set<number>()
  let lowest = 1
  for (let i = from.after; i < to.after; i++) {
    const index = source[i] ?? -1
    if (index >= 0) kept.add(index)
    else lowest = Math.min(lowest, confidence?.[i] ?? 1)
  }
  for (let i = from.before; i < to.before; i++) {
    const probability = keep?.[i]
    if (probability !== undefined) lowest = Math.min(lowest, kept.has(i) ? probability : 1 - probability)
  }
  return lowest
}

function checkTrace({ before, after, source, confidence, keep }: RoundTrace): void {
  const lengths: [string, number | undefined, number][] = [
    ['source', source.length, after.length],
    ['confidence', confidence?.length, after.length],
    ['keep', keep?.length, before.length],
  ]
  for (const [name, received, expected] of lengths) {
    if (received !== undefined && received !== expected) {
      throw new MergeError('ERR_SHAPE', `trace.${name}: expected ${expected} values, received ${received}`)
    }
  }
  let last = -1
  for (const index of source) {
    if (index < 0) continue
    if (index <= last || index >= before.length) {
      throw new MergeError(
        'ERR_SHAPE',
        `trace.source: expected increasing indices below ${before.length}, received ${index} after ${last}`,
      )
    }
    last = index
  }
}

function prefixLengths(pieces: readonly string[]): Int32Array {
  const starts = new Int32Array(pieces.length + 1)
  pieces.forEach((piece, i) => {
    starts[i + 1] = at(starts, i) + piece.length
  })
  return starts
}

/** Tells whether an offset lies between two graphemes. */
function boundaries(text: string): (offset: number) => boolean {
  const offsets = new Set(graphemes(text, new Map()).offsets)
  return (offset) => offsets.has(offset)
}

const at = (values: Int32Array, index: number): number => values[index] ?? 0
