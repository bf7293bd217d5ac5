// Corruption: seeded, composable damage to text, from which a model learns to repair it.

import { MergeError } from '../errors.js'
import type { Random } from '../random.js'

/** Damages a text; the same text and the same random numbers give the same result. */
export type Corruption = (text: string, random: Random) => string

/** Leaves the text as it is. */
export const untouched: Corruption = (text) => text

/** One after the other. */
export function compose(...corruptions: readonly Corruption[]): Corruption {
  return (text, random) => corruptions.reduce((damaged, corrupt) => corrupt(damaged, random), text)
}

/** Applies the corruption to this share of the texts (0..1). */
export function withProbability(share: number, corrupt: Corruption): Corruption {
  checkShare('withProbability', share)
  return (text, random) => (random.next() < share ? corrupt(text, random) : text)
}

/** Applies one of the corruptions, drawn by weight; weights are positive and need not add up to 1. */
export function choose(...weighted: readonly (readonly [weight: number, corrupt: Corruption])[]): Corruption {
  const total = weighted.reduce((sum, [weight]) => sum + weight, 0)
  if (weighted.some(([weight]) => !(weight >= 0 && Number.isFinite(weight))) || total <= 0) {
    throw new MergeError(
      'ERR_CONFIG',
      `choose: expected weights of 0 or more, one above 0, received ${weighted.map(([w]) => w)}`,
    )
  }
  return (text, random) => {
    let rest = random.next() * total
    for (const [weight, corrupt] of weighted) {
      if (rest < weight) return corrupt(text, random)
      rest -= weight
    }
    return text
  }
}

/** Applies the corruption to each word separately with this probability (0..1). Default 0.5. */
export function partly(corrupt: Corruption, share = 0.5): Corruption {
  checkShare('partly', share)
  return (text, random) => text.replace(/\S+/gu, (word) => (random.next() < share ? corrupt(word, random) : word))
}

/** Lower-cases the text. */
export const loseCase = (): Corruption => (text) => text.toLowerCase()

/** Removes these characters. Default: `. , ? ! ' " ; :` */
export function losePunctuation(marks = '.,?!\'";:'): Corruption {
  const lost = new Set(marks)
  return (text) => [...text].filter((character) => !lost.has(character)).join('')
}

/** Removes each space with this probability (0..1). */
export function dropSpaces(rate: number): Corruption {
  checkShare('dropSpaces', rate)
  return (text, random) => text.replace(/ /g, (space) => (random.next() < rate ? '' : space))
}

/** Doubles each letter with this probability (0..1). */
export function doubleLetters(rate: number): Corruption {
  return perLetter('doubleLetters', rate, (letter) => letter + letter)
}

/** Removes each letter with this probability (0..1). */
export function dropCharacters(rate: number): Corruption {
  return perLetter('dropCharacters', rate, () => '')
}

/** Swaps each letter with the letter after it with this probability (0..1). */
export function swapCharacters(rate: number): Corruption {
  checkShare('swapCharacters', rate)
  return (text, random) =>
    text.replace(/(\p{L})(\p{L})/gu, (pair, first: string, second: string) =>
      random.next() < rate ? second + first : pair,
    )
}

/** Repeats each word with this probability (0..1). */
export function repeatWords(rate: number): Corruption {
  checkShare('repeatWords', rate)
  return (text, random) => text.replace(/\p{L}+/gu, (word) => (random.next() < rate ? `${word} ${word}` : word))
}

/**
 * Slips of the finger on a US keyboard: with this probability (0..1) a letter is replaced by a neighbour, gets a
 * neighbour beside it, is dropped, doubled, or swapped with the next, in equal shares. Case is kept.
 */
export function keyboardSlips(rate: number): Corruption {
  checkShare('keyboardSlips', rate)
  return (text, random) => {
    const characters = [...text]
    let result = ''
    for (let i = 0; i < characters.length; i++) {
      const character = characters[i] ?? ''
      const neighbours = keyboardNeighbours.get(character.toLowerCase())
      if (neighbours === undefined || random.next() >= rate) {
        result += character
        continue
      }
      const slip = random.pick(slips)
      const neighbour = sameCase(random.pick([...neighbours]), character)
      const following = characters[i + 1] ?? ''
      switch (slip) {
        case 'replace':
          result += neighbour
          break
        case 'insert':
          result += character + neighbour
          break
        case 'drop':
          break
        case 'double':
          result += character + character
          break
        case 'swap':
          result += following + character
          i++
          break
        default:
          slip satisfies never
      }
    }
    return result
  }
}

/**
 * Replaces words by a known misspelling with this probability (0..1) a word that has one.
 * @param list pairs of misspelling and correction; case of the first letter is kept.
 */
export function misspellings(list: Iterable<readonly [wrong: string, right: string]>, rate: number): Corruption {
  checkShare('misspellings', rate)
  const wrongOf = new Map<string, string[]>()
  for (const [wrong, right] of list) {
    const known = wrongOf.get(right.toLowerCase())
    if (known === undefined) wrongOf.set(right.toLowerCase(), [wrong])
    else known.push(wrong)
  }
  if (wrongOf.size === 0)
    throw new MergeError('ERR_INPUT', 'misspellings: expected pairs of wrong and right, received none')
  return (text, random) =>
    text.replace(/[\p{L}\p{M}']+/gu, (word) => {
      const wrong = wrongOf.get(word.toLowerCase())
      return wrong !== undefined && random.next() < rate ? sameCase(random.pick(wrong), word) : word
    })
}

/** Takes case and punctuation away: the input on which clean-up is measured. */
export const strip: Corruption = compose(loseCase(), losePunctuation())

/**
 * The noise of the clean-up task, for training: 12 % of the texts untouched, 58 % without case and punctuation, 30 % partly (each word with
 * probability 0.5); in the damaged ones 2 % of the spaces are dropped and 1 % of the letters doubled.
 */
export function cleanUpNoise(): Corruption {
  const typing = compose(dropSpaces(0.02), doubleLetters(0.01))
  return choose([0.12, untouched], [0.58, compose(strip, typing)], [0.3, compose(partly(strip), typing)])
}

const slips = ['replace', 'insert', 'drop', 'double', 'swap'] as const

/** Keys beside each letter of a US keyboard. */
const keyboardNeighbours: ReadonlyMap<string, string> = new Map(
  Object.entries({
    q: 'wa',
    w: 'qesa',
    e: 'wrds',
    r: 'etfd',
    t: 'rygf',
    y: 'tuhg',
    u: 'yijh',
    i: 'uokj',
    o: 'iplk',
    p: 'ol',
    a: 'qwsz',
    s: 'wedxza',
    d: 'erfcxs',
    f: 'rtgvcd',
    g: 'tyhbvf',
    h: 'yujnbg',
    j: 'uikmnh',
    k: 'iolmj',
    l: 'opk',
    z: 'asx',
    x: 'sdcz',
    c: 'dfvx',
    v: 'fgbc',
    b: 'ghnv',
    n: 'hjmb',
    m: 'jkn',
  }),
)

function perLetter(name: string, rate: number, change: (letter: string) => string): Corruption {
  checkShare(name, rate)
  return (text, random) => text.replace(/\p{L}/gu, (letter) => (random.next() < rate ? change(letter) : letter))
}

/** Gives a replacement the case of what it replaces: all capitals, a first capital, or as it is. */
function sameCase(replacement: string, model: string): string {
  if (model === model.toLowerCase()) return replacement
  if (model.length > 1 && model === model.toUpperCase()) return replacement.toUpperCase()
  const [first = '', ...rest] = replacement
  return /^\p{Lu}/u.test(model) ? first.toUpperCase() + rest.join('') : replacement
}

function checkShare(name: string, share: number): void {
  if (!(share >= 0 && share <= 1)) throw new MergeError('ERR_CONFIG', `${name}: expected 0..1, received ${share}`)
}
