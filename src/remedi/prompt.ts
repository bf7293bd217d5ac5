// Prompt: what an answer is generated for, as token rows: what stands around the answer, and what is given of it.

import { MergeError } from '../errors.js'
import { hashOf } from '../random.js'
import { type ChatMessage, type ChatTemplate, renderChat } from '../text/chatTemplate.js'
import { type Tokenizer, toWellFormed } from '../text/tokenizer.js'

/** A span, `[start, end)`. */
export type Span = readonly [start: number, end: number]

/** Where the random numbers of an answer come from; default: a hash of its prompt. Answers of one prompt need different ones. */
interface Keyed {
  readonly key?: number
}

/**
 * What an answer is generated for.
 *
 * - a text that the answer continues, alone or with a `draft` of the answer: what is `locked` (UTF-16 offsets of the draft)
 *   stays, the rest may be remasked; the answer is as long as the draft
 * - `prefix` and `suffix`, with at most `length` tokens between them (default: one block)
 * - `messages`, rendered by the checkpoint's chat template
 * - `tokens`, alone or with an `answer` in which the mask's id stands for what is wanted; `locked` are spans of its tokens,
 *   by default all that are given
 */
export type RemediPrompt =
  | string
  | (Keyed &
      (
        | { readonly prompt: string; readonly draft?: string; readonly locked?: readonly Span[] }
        | { readonly prefix: string; readonly suffix: string; readonly length?: number }
        | { readonly messages: readonly ChatMessage[] }
        | { readonly tokens: Int32Array; readonly answer?: Int32Array; readonly locked?: readonly Span[] }
      ))

/** A prompt as the loop takes it up. */
export interface PromptRow {
  /** What is visible to itself and to every block: the prompt, and what stands behind the answer. */
  readonly context: Int32Array
  /** Position of each context token. */
  readonly contextPositions: Int32Array
  /** Position of the answer's first token. */
  readonly start: number
  /** What is given of the answer; the mask's id elsewhere. */
  readonly given: Int32Array
  /** 1: never changes. One per given token. */
  readonly locked: Uint8Array
  /** Most tokens of the answer. */
  readonly limit: number
  readonly key: number
  /** The texts around the answer, where the answer is a part of a text. */
  readonly around?: { readonly prefix: string; readonly suffix: string }
}

/** What a prompt needs of a model. */
export interface PromptContext {
  readonly tokenizer: Tokenizer
  readonly mask: number
  readonly maxLength: number
  readonly blockLength: number
  readonly maxNewTokens: number | undefined
  readonly chat: ChatTemplate | undefined
}

const defaultMaxNewTokens = 1024

/** A prompt as rows of tokens. */
export function promptRow(context: PromptContext, prompt: RemediPrompt): PromptRow {
  const { tokenizer } = context
  if (typeof prompt === 'string') return promptRow(context, { prompt })
  if ('messages' in prompt) {
    if (context.chat === undefined) {
      throw new MergeError('ERR_INPUT', 'messages: expected a model with a chat template, received one without')
    }
    return open(context, renderChat(context.chat, prompt.messages, tokenizer), prompt.key)
  }
  if ('prefix' in prompt) {
    const [prefix, suffix] = [checkedText('prefix', prompt.prefix), checkedText('suffix', prompt.suffix)]
    const limit = prompt.length ?? context.blockLength
    return {
      ...framed(context, tokenizer.encode(prefix), tokenizer.encode(suffix), limit, prompt.key),
      around: { prefix, suffix },
    }
  }
  if ('tokens' in prompt) {
    const before = checkedTokens(context, 'tokens', prompt.tokens)
    if (prompt.answer === undefined) return open(context, before, prompt.key)
    const answer = checkedTokens(context, 'answer', prompt.answer)
    const locked = prompt.locked === undefined ? undefined : lockedTokens(answer.length, prompt.locked)
    return given(context, before, answer, locked ?? answer.map((token) => (token === context.mask ? 0 : 1)), prompt.key)
  }
  const before = tokenizer.encode(checkedText('prompt', prompt.prompt))
  if (prompt.draft === undefined) return open(context, before, prompt.key)
  const draft = checkedText('draft', prompt.draft)
  const offsets = tokenizer.spans(draft)
  const spans = (prompt.locked ?? []).map((span) => touched(offsets, checkedSpan(span, draft.length)))
  const answer = tokenizer.encode(draft)
  return given(context, before, answer, lockedTokens(answer.length, spans), prompt.key)
}

function open(context: PromptContext, tokens: Int32Array, key: number | undefined): PromptRow {
  const room = context.maxLength - tokens.length
  const limit = context.maxNewTokens ?? Math.min(room, defaultMaxNewTokens)
  return framed(context, tokens, new Int32Array(0), limit, key)
}

function given(
  context: PromptContext,
  before: Int32Array,
  answer: Int32Array,
  locked: ArrayLike<number>,
  key: number | undefined,
): PromptRow {
  const row = framed(context, before, new Int32Array(0), answer.length, key)
  return { ...row, given: answer, locked: Uint8Array.from(locked) }
}

function framed(
  context: PromptContext,
  before: Int32Array,
  after: Int32Array,
  limit: number,
  key: number | undefined,
): PromptRow {
  const length = before.length + after.length + limit
  if (!Number.isInteger(limit) || limit < 1 || length > context.maxLength) {
    throw new MergeError(
      'ERR_INPUT',
      `prompt: expected at most ${context.maxLength} tokens (maxLength) with the answer, which has one at least; ` +
        `received ${before.length + after.length} and ${limit}`,
      { details: { tokens: before.length + after.length, answer: limit, maxLength: context.maxLength } },
    )
  }
  const tokens = Int32Array.from([...before, ...after])
  return {
    context: tokens,
    contextPositions: tokens.map((_, i) => (i < before.length ? i : i + limit)),
    start: before.length,
    given: new Int32Array(0),
    locked: new Uint8Array(0),
    limit,
    key: checkedKey(key) ?? hashOf(tokens),
  }
}

function checkedKey(key: number | undefined): number | undefined {
  if (key === undefined || (Number.isSafeInteger(key) && key >= 0)) return key
  throw new MergeError('ERR_INPUT', `key: expected a whole number 0..2^53 - 1, received ${key}`)
}

function checkedText(name: string, text: unknown): string {
  if (typeof text === 'string') return toWellFormed(text)
  throw new MergeError('ERR_INPUT', `${name}: expected a string, received ${text === null ? 'null' : typeof text}`)
}

function checkedTokens({ tokenizer }: PromptContext, name: string, tokens: Int32Array): Int32Array {
  const wrong = tokens.find((token) => token < 0 || token >= tokenizer.vocabularySize)
  if (wrong === undefined) return tokens
  throw new MergeError('ERR_INPUT', `${name}: expected ids 0..${tokenizer.vocabularySize - 1}, received ${wrong}`)
}

function checkedSpan(span: Span, length: number): Span {
  const [start, end] = span
  if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= length) return span
  throw new MergeError('ERR_INPUT', `locked: expected 0 <= start <= end <= ${length}, received [${start}, ${end}]`)
}

function lockedTokens(length: number, spans: readonly Span[]): Uint8Array {
  const locked = new Uint8Array(length)
  for (const span of spans) locked.fill(1, ...checkedSpan(span, length))
  return locked
}

// The tokens that a span of the text touches.
function touched(offsets: Int32Array, [start, end]: Span): Span {
  const count = offsets.length / 2
  let first = 0
  while (first < count && (offsets[2 * first + 1] ?? 0) <= start) first++
  let last = first
  while (last < count && (offsets[2 * last] ?? 0) < end) last++
  return [first, last]
}
