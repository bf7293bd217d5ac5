// Corruption: reproducible, with the shares that were asked for. Sentences and the rule-based baseline.
import { describe, expect, it } from 'vitest'
import { capitalAndFullStop, trainRules } from '../../src/bench/cleanUpRules.js'
import { randomFrom } from '../../src/random.js'
import * as corruption from '../../src/text/corruption.js'
import { paragraphs, sentences } from '../../src/text/sentences.js'

const text = 'Mr. Speaker, "the People" didn\'t wait; why should we?'
const share = (
  corrupt: corruption.Corruption,
  input: string,
  isHit: (output: string) => boolean,
  count = 4000,
): number => {
  let hits = 0
  for (let row = 0; row < count; row++) if (isHit(corrupt(input, randomFrom(1, 0, row, 'test')))) hits++
  return hits / count
}

describe('corruption', () => {
  it('gives the same damage for the same random numbers', () => {
    const noise = corruption.compose(corruption.keyboardSlips(0.2), corruption.cleanUpNoise())
    expect(noise(text, randomFrom(5, 1))).toBe(noise(text, randomFrom(5, 1)))
  })

  it('loses case and punctuation', () => {
    expect(corruption.strip(text, randomFrom(0))).toBe('mr speaker the people didnt wait why should we')
  })

  it('changes as many letters, words and spaces as asked', () => {
    const letters = 'a'.repeat(10_000)
    const count = (corrupt: corruption.Corruption, input: string): number => corrupt(input, randomFrom(2)).length
    expect(count(corruption.doubleLetters(0.01), letters)).toBeGreaterThan(10_060)
    expect(count(corruption.doubleLetters(0.01), letters)).toBeLessThan(10_140)
    expect(Math.abs(count(corruption.dropCharacters(0.1), letters) - 9000)).toBeLessThan(150)
    expect(Math.abs(count(corruption.dropSpaces(0.5), ' '.repeat(10_000)) - 5000)).toBeLessThan(250)
    expect(corruption.swapCharacters(1)('abcd e', randomFrom(2))).toBe('badc e')
    expect(corruption.repeatWords(1)('so it is', randomFrom(2))).toBe('so so it it is is')
    expect(corruption.dropCharacters(0)(text, randomFrom(2))).toBe(text)
  })

  it('slips on the keyboard, keeping case and other characters', () => {
    const slipped = corruption.keyboardSlips(1)('HELLO 12', randomFrom(3))
    expect(slipped).toMatch(/^[A-Z]+ 12$/)
    expect(slipped).not.toBe('HELLO 12')
    // One slip in five is a swap, and a single letter has no neighbour to swap with.
    expect(Math.abs(share(corruption.keyboardSlips(0.3), 'g', (out) => out !== 'g') - 0.3 * 0.8)).toBeLessThan(0.03)
  })

  it('misspells listed words', () => {
    const misspell = corruption.misspellings(
      [
        ['recieve', 'receive'],
        ['teh', 'the'],
      ],
      1,
    )
    expect(misspell('The people RECEIVE the bill.', randomFrom(1))).toBe('Teh people RECIEVE teh bill.')
    expect(() => corruption.misspellings([], 1)).toThrow(/expected pairs/)
  })

  it('chooses by weight', () => {
    const mark =
      (sign: string): corruption.Corruption =>
      () =>
        sign
    const drawn = corruption.choose([1, mark('a')], [3, mark('b')])
    expect(Math.abs(share(drawn, '', (out) => out === 'b') - 0.75)).toBeLessThan(0.03)
    expect(Math.abs(share(corruption.withProbability(0.2, mark('x')), '', (out) => out === 'x') - 0.2)).toBeLessThan(
      0.03,
    )
    expect(() => corruption.choose()).toThrow(/expected weights/)
    expect(() => corruption.withProbability(1.4, mark('x'))).toThrow('withProbability: expected 0..1, received 1.4')
  })

  it('mixes the clean-up noise in the published shares', () => {
    // Short words without doubles: slips are rare, so the three kinds can be told apart.
    const noise = corruption.cleanUpNoise()
    const input = 'A B C D E F G H I J.'
    const whole = share(noise, input, (out) => out === input)
    const none = share(noise, input, (out) => !/[A-Z.]/.test(out))
    expect(Math.abs(whole - 0.12)).toBeLessThan(0.02)
    expect(Math.abs(none - 0.58)).toBeLessThan(0.03)
  })
})

describe('sentences', () => {
  it('splits at ends, not at short forms', () => {
    expect(
      sentences(
        'Mr. Adams met J. Q. Smith. "Why?" he said. The U.S. Treasury paid No. 5 at once! In the U.S. The end.',
      ),
    ).toEqual([
      'Mr. Adams met J. Q. Smith.',
      '"Why?" he said.',
      'The U.S. Treasury paid No. 5 at once!',
      'In the U.S.',
      'The end.',
    ])
    expect(sentences('so did I. Then   we\nwent')).toEqual(['so did I.', 'Then we went'])
    expect(sentences('It cost $2.50 in 1990. 12 came.')).toEqual(['It cost $2.50 in 1990.', '12 came.'])
    expect(sentences('  \n\n ')).toEqual([])
    expect(paragraphs('a\nb\n\n c \r\n\r\nd')).toEqual(['a b', 'c', 'd'])
  })
})

describe('rules', () => {
  it('learns capitals, apostrophes, end marks and commas', () => {
    const repair = trainRules([
      "We met Spain, and we didn't fight.",
      'Last year, and this, Spain, and we agreed.',
      'What is this?',
      'What is Spain to us?',
    ])
    expect(repair('what is spain')).toBe('What is Spain?')
    expect(repair('we like spain and didnt go')).toBe("We like Spain, and didn't go.")
    expect(repair('')).toBe('')
    expect(capitalAndFullStop('so it is')).toBe('So it is.')
  })
})
