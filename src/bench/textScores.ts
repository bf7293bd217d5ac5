// textScores: the evaluation of the quality suite, from texts alone, so that every family and every rule is judged alike.

import { alignTokens } from '../text/alignment.js'
import { type Agreement, addAgreement, fScore, wordEditAgreement } from '../training/editScores.js'
import { pace } from '../training/pace.js'

/** A draft, what it should have become, what it became, and what became of the target itself. */
export interface JudgedText {
  readonly source: string
  readonly target: string
  readonly result: string
  /** The result of editing the target, which needs no edit. */
  readonly again: string
}

/** Shares from 0 to 1; `null` of nothing. */
export interface TextScores {
  /** Results that are the target. */
  readonly exact: number | null
  /** F0.5 of the edits by words, against those of the oracle. */
  readonly f05: number | null
  /** Finished texts that were changed. */
  readonly overCorrection: number | null
  /** Characters that were put in and are right: those that the oracle, aligning the result with the target, keeps. */
  readonly fillAccuracy: number | null
}

/** Judges texts; gives way to the event loop every few milliseconds. */
export async function textScores(texts: Iterable<JudgedText>): Promise<TextScores> {
  const breathe = pace()
  const sums = { texts: 0, exact: 0, changed: 0, filled: 0, right: 0 }
  let edits: Agreement = { matched: 0, proposed: 0, wanted: 0 }
  for (const { source, target, result, again } of texts) {
    await breathe()
    sums.texts++
    if (result === target) sums.exact++
    if (again !== target) sums.changed++
    edits = addAgreement(edits, wordEditAgreement(source, result, target))
    const [filled, right] = fills(source, result, target)
    sums.filled += filled
    sums.right += right
  }
  const share = (count: number, of: number): number | null => (of === 0 ? null : count / of)
  return {
    exact: share(sums.exact, sums.texts),
    f05: fScore(edits, 0.5).value,
    overCorrection: share(sums.changed, sums.texts),
    fillAccuracy: share(sums.right, sums.filled),
  }
}

// Characters of the result that are not the draft's, and those of them that are the target's.
function fills(source: string, result: string, target: string): [filled: number, right: number] {
  if (source === result) return [0, 0]
  const [before, after, wanted] = [source, result, target].map(codePoints)
  const kept = alignTokens(after ?? none, before ?? none)
  const labels = alignTokens(after ?? none, wanted ?? none)
  const places = [...kept.keys()].filter((place) => (kept[place] ?? -1) < 0)
  return [places.length, places.filter((place) => (labels[place] ?? -1) >= 0).length]
}

const none = new Int32Array(0)
const codePoints = (text: string): Int32Array => Int32Array.from(text, (letter) => letter.codePointAt(0) ?? 0)
