// The trace of a row: which letters are struck out, masked and filled in, in colour, in plain text and as a picture.
import { describe, expect, test } from 'vitest'
import { paint, visible, wantsColour } from '../../src/cli/terminal.js'
import { renderTrace, type Trace, traceLines } from '../../src/cli/trace.js'
import { traceSvg } from '../../src/cli/traceSvg.js'
import type { Round } from '../../src/editor.js'
import { characterTokenizer } from '../../src/text/characterTokenizer.js'

const tokenizer = characterTokenizer({ alphabet: 'abcdefghijklmnopqrstuvwxyz .<>&', caseShift: true })

/** The round that leads from one text to the next; `source` as in the engine's answer. */
function round(after: string, source: readonly number[], more: Partial<Round> = {}): Round {
  const tokens = tokenizer.encode(after)
  expect(source.length).toBe(tokens.length)
  return {
    row: 0,
    round: 1,
    tokens,
    text: after,
    gate: 0.9,
    edited: true,
    keep: new Float32Array(),
    deleted: Int32Array.of(),
    inserted: [],
    source: Int32Array.from(source),
    confidence: new Float32Array(tokens.length).fill(1),
    roundConfidence: 0,
    edits: [],
    truncated: false,
    encoderPasses: 2,
    ...more,
  }
}

const trace = (draft: string, ...rounds: Round[]): Trace => ({ draft: tokenizer.encode(draft), rounds })
const plain = (given: Trace): string[] => renderTrace(traceLines(given, tokenizer), { colour: false }).split('\n')

describe('trace', () => {
  test('deleted, masked and filled letters of a round, and a round that changes nothing', () => {
    const first = round('he go.', [0, 1, 2, 3, 4, -1], { deleted: Int32Array.of(5) })
    const last = round('he go.', [0, 1, 2, 3, 4, 5], { round: 2, gate: 0.125, edited: false, stopReason: 'converged' })
    expect(plain(trace('he gox', first, last))).toEqual([
      '   draft   he gox',
      ' 1 gate    0.90  edits',
      '   delete  he go[-x-]',
      '   insert  he go_',
      '   fill    he go{+.+}',
      ' 2 gate    0.13  no change; stops: converged',
    ])
  })

  test('a shift that is put before a kept letter shows as the filled capital', () => {
    expect(plain(trace('he', round('He', [-1, 0, 1]))).slice(2)).toEqual(['   insert  _he', '   fill    {+H+}e'])
  })

  test('a shift that is deleted strikes the capital out, and what is left is shown', () => {
    const lowered = round('he', [1, 2], { deleted: Int32Array.of(0) })
    expect(plain(trace('He', lowered)).slice(2)).toEqual(['   delete  [-H-]e', '   left    he'])
  })

  test('holes of a draft that only grows', () => {
    const filled = round('a cat', [0, 1, -1, -1, 2], { edited: false })
    expect(plain({ ...trace('a t', filled), holes: [2] })).toEqual([
      '   draft   a ___t',
      ' 1 gate    0.90  only inserts',
      '   insert  a __t',
      '   fill    a {+ca+}t',
    ])
  })

  test('colours: red and struck out, yellow, green and bold', () => {
    const lines = traceLines(trace('ax', round('ab', [0, -1], { deleted: Int32Array.of(1) })), tokenizer)
    const [, , deleted, masked, filled] = renderTrace(lines, { colour: true }).split('\n')
    expect(deleted).toContain('a\u001b[9m\u001b[31mx\u001b[39m\u001b[29m')
    expect(masked).toContain('a\u001b[33m_\u001b[39m')
    expect(filled).toContain('a\u001b[1m\u001b[32mb\u001b[39m\u001b[22m')
  })

  test('the picture is well-formed and holds the text escaped', () => {
    const svg = traceSvg(traceLines(trace('a<b', round('a&b', [0, -1, 2], { deleted: Int32Array.of(1) })), tokenizer))
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="\d+" height="\d+"/)
    expect(svg).toContain('text-decoration="line-through">&lt;</tspan>')
    expect(svg).toContain('>&amp;</tspan>')
    expect(svg.match(/<text /g)?.length).toBe(5)
    expect(svg.match(/<tspan/g)?.length).toBe(svg.match(/<\/tspan>/g)?.length)
  })
})

describe('terminal', () => {
  test('control and bidirectional characters become visible signs', () => {
    expect(visible('a\u001b[31mb\n\u007f\u202e\u0085')).toBe('a\u241b[31mb\u240a\u2421\ufffd\ufffd')
    expect(visible('na\u00efve \ud83d\ude00')).toBe('na\u00efve \ud83d\ude00')
  })

  test('colour: NO_COLOR before FORCE_COLOR before the stream', () => {
    expect(wantsColour({ isTTY: true }, {})).toBe(true)
    expect(wantsColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false)
    expect(wantsColour({ isTTY: false }, {})).toBe(false)
    expect(wantsColour({ isTTY: false }, { FORCE_COLOR: '1' })).toBe(true)
    expect(wantsColour({ isTTY: true }, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
    expect(wantsColour({ isTTY: true }, { NO_COLOR: '' })).toBe(true)
  })

  test('paint closes what it opens', () => {
    expect(paint([], 'x')).toBe('x')
    expect(paint(['red'], 'x')).toBe('\u001b[31mx\u001b[39m')
  })
})
