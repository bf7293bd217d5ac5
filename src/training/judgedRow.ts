// judgedRow: what the edit oracle says of one draft's way through its rounds.

import type { Draft } from '../merge/draft.js'
import type { Round } from '../merge/refine.js'
import { alignTokens } from '../text/alignment.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { JudgedFill } from './calibration.js'
import { type Agreement, deletionAgreement, tokenEditAgreement, wordEditAgreement } from './editScores.js'

/** A row after its last round, and what it should have become. */
export interface FinishedRow {
  readonly draft: Draft
  readonly rounds: readonly Round[]
  readonly last: Round
  readonly target: string
  /** A token is given up where its keep probability is not above it (0..1). */
  readonly keepThreshold: number
}

/** What the oracle says of a row. */
export interface JudgedRow {
  readonly tokenEdits: Agreement
  readonly wordEdits: Agreement
  /** Of round 1. */
  readonly deletions: Agreement
  /** Tokens filled in, round by round. */
  readonly fills: readonly JudgedFill[]
  readonly encoderPasses: number
}

/** Judges a row. Edits are read off the texts, not off the rounds; fills and deletions off the rounds. */
export function judgedRow(tokenizer: Tokenizer, row: FinishedRow): JudgedRow {
  const { draft, rounds, last, keepThreshold } = row
  const { tokens } = draft.state
  const target = tokenizer.encode(row.target)
  return {
    tokenEdits: tokenEditAgreement(tokens, tokenizer.encode(last.text), target),
    wordEdits: wordEditAgreement(draft.text, last.text, row.target),
    deletions: deletionAgreement(rounds[0]?.keep ?? [], keepLabels(tokens, target), keepThreshold),
    fills: rounds.flatMap((round) => judgedFills(round, target)),
    encoderPasses: rounds.reduce((sum, round) => sum + round.encoderPasses, 0),
  }
}

function judgedFills({ tokens, source, confidence }: Round, target: Int32Array): JudgedFill[] {
  if (!source.includes(-1)) return []
  const labels = keepLabels(tokens, target)
  const fills: JudgedFill[] = []
  source.forEach((before, token) => {
    if (before < 0) fills.push({ confidence: confidence[token] ?? 0, isRight: labels[token] === 1 })
  })
  return fills
}

/** The oracle's keep labels: 1 where a token is matched with one of the target. */
const keepLabels = (tokens: Int32Array, target: Int32Array): Int32Array =>
  alignTokens(tokens, target).map((match) => (match < 0 ? 0 : 1))
