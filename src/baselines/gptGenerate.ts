// The loop of writing from left to right: several tokens a native call, over a cache; rows leave as they end, and the
// next ones take their places.

import { z } from 'zod'
import { above, number, seed, whole } from '../config/fields.js'
import { isMergeError, MergeError } from '../errors.js'
import type { NativeSession } from '../native.js'
import { hashOf } from '../random.js'
import { packRows, rowRange } from '../rows.js'
import { type Tokenizer, toWellFormed } from '../text/tokenizer.js'
import { sourceRow, startRow } from './gptTask.js'

/** How answers are written. */
export const gptGenerateConfig = z.strictObject({
  maxNewTokens: whole(1, 1 << 20)
    .optional()
    .describe('most tokens of an answer; default: what the model has room for, at most 1024'),
  temperature: number(0, 100).default(0).describe('0: the most probable token'),
  topK: whole(0, 1e6).default(0).describe('sample among the k most probable tokens; 0: all'),
  topP: above(0, 1).default(1).describe('sample among the most probable tokens that hold this mass'),
  stop: z
    .array(z.string().min(1, 'expected a text'))
    .readonly()
    .default([])
    .describe('texts that end an answer; neither they nor what follows is part of it'),
  stopAtEndOfText: z.boolean().default(true).describe('an answer ends at its first end of text'),
  seed,
  batchRows: whole(1, 65536).default(32).describe('most rows written together'),
  tokensPerCall: whole(1, 4096)
    .default(16)
    .describe('tokens of each row between two looks at signal and stop; decides no token'),
  signal: z
    .instanceof(AbortSignal, { error: 'expected an AbortSignal' })
    .optional()
    .describe('ends the call after the running tokens'),
})

export type GptGenerateConfig = Readonly<z.output<typeof gptGenerateConfig>>
export type GptGenerateOptions = z.input<typeof gptGenerateConfig>

/**
 * What an answer is written behind: a text that it continues, a `source` as in training, or `tokens` as they are.
 * `key`: whose random numbers; default a hash of the prompt, so answers of one prompt need different ones.
 */
export type GptPrompt =
  | string
  | ({ readonly key?: number } & (
      | { readonly prompt: string }
      | { readonly source: string }
      | { readonly tokens: Int32Array }
    ))

/** A finished answer. */
export interface GptAnswer {
  readonly text: string
  /** Tokens that were written, without the end of text. */
  readonly tokens: Int32Array
  /** Of each token among the whole vocabulary, at temperature 1. */
  readonly probability: Float32Array
  /** What ended it. */
  readonly stop: 'endOfText' | 'text' | 'length'
}

/** What the loop needs of a model. */
export interface GptContext {
  readonly session: Pick<NativeSession, 'nextTokens' | 'forget'>
  readonly tokenizer: Tokenizer
  /** Ids below it may be written. */
  readonly vocabulary: number
  readonly maxLength: number
  readonly endOfText: readonly number[]
}

interface ActiveRow {
  readonly row: number
  readonly key: number
  readonly limit: number
  unread: Int32Array
  tokens: number[]
  probability: number[]
}

let generations = 0

/** Writes an answer for each prompt. An aborted signal rejects with its reason. */
export async function writeAnswers(
  context: GptContext,
  prompts: readonly GptPrompt[],
  config: GptGenerateConfig,
): Promise<GptAnswer[]> {
  const { session } = context
  const waiting = prompts.map((prompt, row) => startedRow(context, prompt, row, config))
  const answers = new Array<GptAnswer>(prompts.length)
  const stop = Int32Array.from(config.stopAtEndOfText ? context.endOfText : [])
  const generation = generations++
  const { temperature, topK, topP, seed, tokensPerCall: steps } = config
  const options = { steps, temperature, topK, topP, seed, vocabulary: context.vocabulary }
  let active: ActiveRow[] = []
  try {
    while (active.length + waiting.length > 0) {
      config.signal?.throwIfAborted()
      active.push(...waiting.splice(0, config.batchRows - active.length))
      const unread = packRows(active.map((row) => row.unread))
      const slots = Int32Array.from(active, ({ row }) => row)
      const written = await session.nextTokens(options, { ...unread, generation, slots }, stop, {
        limit: Float64Array.from(active, ({ limit, tokens }) => limit - tokens.length),
        written: Float64Array.from(active, ({ tokens }) => tokens.length),
        key: Float64Array.from(active, ({ key }) => key),
      })
      const left: number[] = []
      for (const [index, row] of active.entries()) {
        row.tokens.push(...written.tokens.subarray(...rowRange(written, index)))
        row.probability.push(...written.probability.subarray(...rowRange(written, index)))
        row.unread = Int32Array.from(row.tokens.slice(-1))
        const answer = finished(context, row, config)
        if (answer === undefined) continue
        answers[row.row] = answer
        left.push(row.row)
      }
      if (left.length === 0) continue
      active = active.filter(({ row }) => answers[row] === undefined)
      await session.forget(generation, Int32Array.from(left))
    }
    return answers
  } finally {
    // A model that was disposed meanwhile has forgotten.
    await session.forget(generation, new Int32Array(0)).catch((error: unknown) => {
      if (!isMergeError(error, 'ERR_DISPOSED') && !isMergeError(error, 'ERR_ABORTED')) throw error
    })
  }
}

function startedRow(context: GptContext, prompt: GptPrompt, row: number, config: GptGenerateConfig): ActiveRow {
  const unread = promptTokens(context.tokenizer, prompt)
  const room = context.maxLength - unread.length
  const limit = config.maxNewTokens ?? Math.min(room, 1024)
  if (unread.length === 0)
    throw new MergeError('ERR_INPUT', `prompt ${row}: expected at least one token, received none`)
  if (limit < 1 || limit > room) {
    throw new MergeError(
      'ERR_INPUT',
      `prompt ${row}: expected at most ${context.maxLength} tokens (maxLength) with the answer, which has one at least; ` +
        `received ${unread.length} and ${limit}`,
    )
  }
  const key = typeof prompt === 'string' ? undefined : prompt.key
  if (key !== undefined && !(Number.isSafeInteger(key) && key >= 0)) {
    throw new MergeError('ERR_INPUT', `key: expected a whole number 0..2^53 - 1, received ${key}`)
  }
  return { row, key: key ?? hashOf(unread), limit, unread, tokens: [], probability: [] }
}

function promptTokens(tokenizer: Tokenizer, prompt: GptPrompt): Int32Array {
  if (typeof prompt === 'string') return promptTokens(tokenizer, { prompt })
  if ('tokens' in prompt) {
    const wrong = prompt.tokens.find((token) => token < 0 || token >= tokenizer.vocabularySize)
    if (wrong === undefined) return prompt.tokens
    throw new MergeError('ERR_INPUT', `tokens: expected ids 0..${tokenizer.vocabularySize - 1}, received ${wrong}`)
  }
  if ('source' in prompt) return sourceRow(tokenizer, tokenizer.encode(checkedText('source', prompt.source)))
  return Int32Array.from([...startRow(tokenizer), ...tokenizer.encode(checkedText('prompt', prompt.prompt))])
}

function checkedText(name: string, text: unknown): string {
  if (typeof text === 'string') return toWellFormed(text)
  throw new MergeError('ERR_INPUT', `${name}: expected a string, received ${text === null ? 'null' : typeof text}`)
}

// The answer of a row that has ended.
function finished({ tokenizer, endOfText }: GptContext, row: ActiveRow, config: GptGenerateConfig) {
  const ends = config.stopAtEndOfText && endOfText.includes(row.tokens.at(-1) ?? -1)
  const tokens = Int32Array.from(ends ? row.tokens.slice(0, -1) : row.tokens)
  const answer = (count: number, stop: GptAnswer['stop'], text?: string): GptAnswer => {
    const kept = tokens.slice(0, count)
    const probability = Float32Array.from(row.probability.slice(0, count))
    return { text: text ?? tokenizer.decode(kept), tokens: kept, probability, stop }
  }
  if (config.stop.length > 0) {
    const text = tokenizer.decode(tokens)
    const places = config.stop.map((word) => text.indexOf(word)).filter((place) => place >= 0)
    if (places.length > 0) {
      const place = Math.min(...places)
      let count = 0
      while (count < tokens.length && tokenizer.decode(tokens.slice(0, count + 1)).length <= place) count++
      return answer(count, 'text', text.slice(0, place))
    }
  }
  if (ends) return answer(tokens.length, 'endOfText')
  return row.tokens.length >= row.limit ? answer(tokens.length, 'length') : undefined
}
