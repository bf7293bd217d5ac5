// Answer: a generated text with its statistics.

import type { Tokenizer } from '../text/tokenizer.js'
import type { BlockState } from './block.js'

/** Why an answer ends: its first end of text, or no room for more. */
export type AnswerStop = 'endOfText' | 'length'

/** How a block came to be. */
export interface BlockStatistics {
  /** Denoising steps. */
  readonly steps: number
  /** Visible tokens that became masks again. */
  readonly remasks: number
}

/** A generated answer. */
export interface Answer {
  /** The answer; between its prefix and suffix, where it was given those. */
  readonly text: string
  /** What was generated, alone. */
  readonly answer: string
  /** Its tokens, without the end of text and what follows. */
  readonly tokens: Int32Array
  readonly stopReason: AnswerStop
  /** Denoising steps of all blocks. */
  readonly steps: number
  /** Passes of the network: the prompt, each step, and each finished block that joined the cache. */
  readonly evaluations: number
  /** Visible tokens that became masks again, of all blocks. */
  readonly remasks: number
  readonly blocks: readonly BlockStatistics[]
}

/** The statistics of a finished block. */
export function statisticsOf(block: BlockState): BlockStatistics {
  return { steps: block.step, remasks: block.remasks.reduce((sum, count) => sum + count, 0) }
}

/** The answer of a row that has ended. */
export function answerOf(
  tokenizer: Tokenizer,
  endOfText: readonly number[],
  row: {
    readonly tokens: Int32Array
    readonly stopReason: AnswerStop
    readonly evaluations: number
    readonly blocks: readonly BlockStatistics[]
    readonly around: { readonly prefix: string; readonly suffix: string } | undefined
  },
): Answer {
  const { stopReason, evaluations, around } = row
  const end = stopReason === 'endOfText' ? row.tokens.findIndex((token) => endOfText.includes(token)) : -1
  const tokens = end < 0 ? row.tokens : row.tokens.slice(0, end)
  const answer = tokenizer.decode(tokens)
  const blocks = [...row.blocks]
  return {
    text: around === undefined ? answer : `${around.prefix}${answer}${around.suffix}`,
    answer,
    tokens,
    stopReason,
    steps: blocks.reduce((sum, block) => sum + block.steps, 0),
    evaluations,
    remasks: blocks.reduce((sum, block) => sum + block.remasks, 0),
    blocks,
  }
}
