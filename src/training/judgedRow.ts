// judgedRow: what the edit oracle says of one draft's way through its rounds.

import type { Round, TokenDraft } from '../editor.js'
import { alignTokens } from '../text/alignment.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { JudgedFill } from './calibration.js'
import { type Agreement, deletionAgreement, tokenEditAgreement, wordEditAgreement } from './editScores.js'

/** A row after its last round, and what it should have become. */
export interface FinishedRow {
  readonly draft: TokenDraft
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
    fills: rounds.flatMap((round, index) => {
      const before = rounds[index - 1]?.tokens ?? tokens
      return judgedFills(round, { before, target, mask: tokenizer.special.mask })
    }),
    encoderPasses: rounds.reduce((sum, round) => sum + round.encoderPasses, 0),
  }
}

interface FillPlace {
  readonly before: Int32Array
  readonly target: Int32Array
  readonly mask: number
}

// A token was filled in if it is new, or stands where a mask stood; a mask that still stands was not.
function judgedFills({ tokens, source, confidence }: Round, { before, target, mask }: FillPlace): JudgedFill[] {
  const isFilled = (id: number, token: number): boolean => id !== mask && id !== before[source[token] ?? -1]
  if (!tokens.some(isFilled)) return []
  const labels = keepLabels(tokens, target)
  const fills: JudgedFill[] = []
  tokens.forEach((id, token) => {
    if (isFilled(id, token)) fills.push({ confidence: confidence[token] ?? 0, isRight: labels[token] === 1 })
  })
  return fills
}

/** The oracle's keep labels: 1 where a token is matched with one of the target. */
const keepLabels = (tokens: Int32Array, target: Int32Array): Int32Array =>
  alignTokens(tokens, target).map((match) => (match < 0 ? 0 : 1))
