// Trace: what each round did to a text, as lines of marked spans, for the terminal and for plain text.

import type { Round } from '../editor.js'
import type { Tokenizer } from '../text/tokenizer.js'
import { paint, visible } from './terminal.js'

/** What a stretch of a line is. */
export type SpanKind = 'label' | 'note' | 'kept' | 'deleted' | 'mask' | 'filled'

export interface TraceSpan {
  readonly kind: SpanKind
  readonly text: string
}

export type TraceLine = readonly TraceSpan[]

type TraceTokenizer = Pick<Tokenizer, 'pieces' | 'special'>

/** A draft and the rounds it went through. */
export interface Trace {
  readonly draft: Int32Array
  /** Gaps of the draft that are holes to fill; gap `j` lies before token `j`. */
  readonly holes?: readonly number[]
  readonly rounds: readonly Round[]
}

/**
 * The lines of a trace: the draft, and for each round its gate, what it deleted, where it put masks, and what it filled in.
 * A round that changed nothing takes one line.
 */
export function traceLines(trace: Trace, tokenizer: TraceTokenizer): TraceLine[] {
  let before = trace.draft
  const lines: TraceLine[] = [line('', 'draft', draftSpans(tokenizer.pieces(before), trace.holes ?? []))]
  for (const round of trace.rounds) {
    lines.push(...roundLines(round, before, tokenizer))
    before = round.tokens
  }
  return lines
}

/** A trace as text: coloured, or with the marks of wdiff: `[-deleted-]`, `{+filled+}`. */
export function renderTrace(lines: readonly TraceLine[], options: { readonly colour: boolean }): string {
  const render = options.colour ? coloured : marked
  return lines.map((spans) => spans.map(render).join('').trimEnd()).join('\n')
}

/** The character that stands for a mask; three of them stand for a hole. */
const maskSign = '_'

function draftSpans(pieces: readonly string[], holes: readonly number[]): TraceSpan[] {
  const spans: TraceSpan[] = []
  let start = 0
  for (const hole of holes) {
    spans.push(...plainSpans(pieces.slice(start, hole)), { kind: 'mask', text: maskSign.repeat(3) })
    start = hole
  }
  return [...spans, ...plainSpans(pieces.slice(start))]
}

function roundLines(round: Round, before: Int32Array, tokenizer: TraceTokenizer): TraceLine[] {
  const { source, tokens } = round
  const { mask } = tokenizer.special
  const piecesBefore = tokenizer.pieces(before)
  const pieces = tokenizer.pieces(tokens)
  // A kept letter looks different where a shift was put before it, or where it was a mask that waited.
  const isFilled = (index: number): boolean => piecesBefore[source[index] ?? -1] !== pieces[index]
  const kindOf = (index: number): SpanKind =>
    tokens[index] === mask ? 'mask' : source[index] === -1 || isFilled(index) ? 'filled' : 'kept'
  const deletes = round.deleted.length > 0
  const inserts = source.includes(-1)
  const fills = pieces.some((_, index) => kindOf(index) === 'filled')
  const kind = round.edited ? 'edits' : inserts ? 'only inserts' : 'only fills'
  const stop = round.stopReason === undefined ? '' : `; stops: ${round.stopReason}`
  const gate = `${round.gate.toFixed(2)}  ${deletes || inserts || fills ? kind : 'no change'}${stop}`

  const lines: TraceLine[] = [line(String(round.round), 'gate', [{ kind: 'note', text: gate }])]
  if (deletes) {
    const gone = new Set(round.deleted)
    const spans = spansOf(piecesBefore, (index) => (gone.has(index) ? 'deleted' : 'kept'))
    lines.push(line('', 'delete', spans))
  }
  if (inserts) lines.push(line('', 'insert', maskedSpans(round, before, tokenizer)))
  if (inserts || (fills && !deletes)) lines.push(line('', 'fill', spansOf(pieces, kindOf)))
  else if (deletes) lines.push(line('', 'left', plainSpans(pieces)))
  return lines
}

// The skeleton with a sign for each mask, those that waited included.
function maskedSpans(round: Round, before: Int32Array, tokenizer: TraceTokenizer): TraceSpan[] {
  const { mask } = tokenizer.special
  const skeleton = round.source.map((index) => (index < 0 ? mask : (before[index] ?? mask)))
  const pieces = tokenizer.pieces(skeleton.filter((token) => token !== mask))
  let next = 0
  const spans: TraceSpan[] = []
  for (const token of skeleton) {
    if (token === mask) spans.push({ kind: 'mask', text: maskSign })
    else spans.push({ kind: 'kept', text: visible(pieces[next++] ?? '') })
  }
  return merged(spans)
}

const plainSpans = (pieces: readonly string[]): TraceSpan[] => spansOf(pieces, () => 'kept')

// Several tokens may make one character, which the last of them shows; it is marked if any of them is.
function spansOf(pieces: readonly string[], kindOf: (index: number) => SpanKind): TraceSpan[] {
  const spans: TraceSpan[] = []
  let waiting: SpanKind = 'kept'
  pieces.forEach((piece, index) => {
    const own = kindOf(index)
    if (own === 'mask') {
      spans.push({ kind: own, text: maskSign })
      return
    }
    const kind = own === 'kept' ? waiting : own
    waiting = piece === '' ? kind : 'kept'
    if (piece !== '') spans.push({ kind, text: visible(piece) })
  })
  return merged(spans)
}

function merged(spans: readonly TraceSpan[]): TraceSpan[] {
  const result: TraceSpan[] = []
  for (const span of spans) {
    const last = result.at(-1)
    if (last?.kind === span.kind) result[result.length - 1] = { kind: span.kind, text: last.text + span.text }
    else if (span.text !== '') result.push(span)
  }
  return result
}

function line(number: string, word: string, spans: readonly TraceSpan[]): TraceLine {
  return [{ kind: 'label', text: `${number.padStart(2)} ${word.padEnd(6)}  ` }, ...spans]
}

const formats: Readonly<Record<SpanKind, readonly string[]>> = {
  label: ['dim'],
  note: ['dim'],
  kept: [],
  deleted: ['red', 'strikethrough'],
  mask: ['yellow'],
  filled: ['green', 'bold'],
}

const coloured = ({ kind, text }: TraceSpan): string => (formats[kind].length === 0 ? text : paint(formats[kind], text))

function marked({ kind, text }: TraceSpan): string {
  if (kind === 'deleted') return `[-${text}-]`
  return kind === 'filled' ? `{+${text}+}` : text
}
