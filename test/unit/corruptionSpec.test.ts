// Corruptions as data: each form gives the corruption it names, and a wrong one is refused in words.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/parseConfig.js'
import { randomFrom } from '../../src/random.js'
import { type CorruptionSpec, corruptionFrom, corruptionSpec } from '../../src/text/corruptionSpec.js'

const apply = async (spec: CorruptionSpec, text: string) => {
  const parsed = parseConfig(corruptionSpec, JSON.parse(JSON.stringify(spec)), 'corruption')
  return (await corruptionFrom(parsed))(text, randomFrom(1))
}

describe('corruptionFrom', () => {
  it.each([
    ['untouched', "Hello, I'm Tom."],
    ['loseCase', "hello, i'm tom."],
    ['losePunctuation', 'Hello Im Tom'],
    [['loseCase', 'losePunctuation'], 'hello im tom'],
    [{ dropSpaces: 1 }, "Hello,I'mTom."],
    [{ doubleLetters: 1 }, "HHeelllloo, II'mm TToomm."],
    [{ dropCharacters: 1 }, ", ' ."],
    [{ partly: 'loseCase', share: 0 }, "Hello, I'm Tom."],
    [{ withProbability: 1, apply: 'losePunctuation' }, 'Hello Im Tom'],
    [
      {
        choose: [
          { weight: 0, apply: 'untouched' },
          { weight: 1, apply: 'loseCase' },
        ],
      },
      "hello, i'm tom.",
    ],
  ] satisfies [CorruptionSpec, string][])('%j', async (spec, expected) => {
    expect(await apply(spec, "Hello, I'm Tom.")).toBe(expected)
  })

  it.each(['swapCharacters', 'repeatWords', 'keyboardSlips', 'dropSpaces'])('%s changes the text', async (name) => {
    const spec = parseConfig(corruptionSpec, { [name]: 1 }, 'corruption')
    expect((await corruptionFrom(spec))('Hello there', randomFrom(1))).not.toBe('Hello there')
  })

  it('reads misspellings from a file', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'words-')), 'pairs.csv')
    await writeFile(file, 'wrold,world\nteh\tthe\nrecieve->receive\n\n')
    expect(await apply({ misspellings: { file, rate: 1 } }, 'receive the world')).toBe('recieve teh wrold')
    await expect(apply({ misspellings: { file: 'nowhere.csv', rate: 1 } }, '')).rejects.toMatchObject({
      message: 'misspellings: expected a readable file, received nowhere.csv',
    })
  })

  it.each([
    [{ keyboardSlips: 2 }, 'corruption.keyboardSlips: expected 0..1, received 2'],
    ['keybord', /^corruption: expected a corruption: untouched, cleanUp, .*, or a list of them, received "keybord"$/],
  ])('refuses %j', (spec, message) => {
    expect(() => parseConfig(corruptionSpec, spec, 'corruption')).toThrow(message)
  })
})
