// corruptionSpec: the JSON description of a corruption, and the corruption it describes.

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import {
  type Corruption,
  choose,
  cleanUpNoise,
  compose,
  doubleLetters,
  dropCharacters,
  dropSpaces,
  keyboardSlips,
  loseCase,
  losePunctuation,
  misspellings,
  partly,
  repeatWords,
  swapCharacters,
  untouched,
  withProbability,
} from './corruption.js'

const plain = { untouched, cleanUp: cleanUpNoise(), loseCase: loseCase(), losePunctuation: losePunctuation() }
const rated = { dropSpaces, doubleLetters, dropCharacters, swapCharacters, repeatWords, keyboardSlips }

/**
 * A corruption as it stands in a configuration file: a name, a name with its rate, or corruptions put together. A list is
 * applied one after the other.
 *
 * @example
 * const spec: CorruptionSpec = [{ partly: 'loseCase', share: 0.5 }, { keyboardSlips: 0.02 }]
 */
export type CorruptionSpec =
  | keyof typeof plain
  | { readonly [Name in keyof typeof rated]: { readonly [Key in Name]: number } }[keyof typeof rated]
  | { readonly misspellings: { readonly file: string; readonly rate: number } }
  | { readonly partly: CorruptionSpec; readonly share?: number | undefined }
  | { readonly withProbability: number; readonly apply: CorruptionSpec }
  | { readonly choose: readonly { readonly weight: number; readonly apply: CorruptionSpec }[] }
  | readonly CorruptionSpec[]

const share = z.number('expected 0..1').min(0, 'expected 0..1').max(1, 'expected 0..1')
const names = [...Object.keys(plain), ...Object.keys(rated), 'misspellings', 'partly', 'withProbability', 'choose']

/** The schema of {@link CorruptionSpec}. */
export const corruptionSpec: z.ZodType<CorruptionSpec, CorruptionSpec> = z.lazy(() =>
  z.union(
    [
      z.enum(['untouched', 'cleanUp', 'loseCase', 'losePunctuation']),
      z.strictObject({ dropSpaces: share }),
      z.strictObject({ doubleLetters: share }),
      z.strictObject({ dropCharacters: share }),
      z.strictObject({ swapCharacters: share }),
      z.strictObject({ repeatWords: share }),
      z.strictObject({ keyboardSlips: share }),
      z.strictObject({ misspellings: z.strictObject({ file: z.string().min(1), rate: share }) }),
      z.strictObject({ partly: corruptionSpec, share: share.optional() }),
      z.strictObject({ withProbability: share, apply: corruptionSpec }),
      z.strictObject({
        choose: z
          .array(z.strictObject({ weight: z.number('expected a weight >= 0').min(0), apply: corruptionSpec }))
          .min(1),
      }),
      z.array(corruptionSpec),
    ],
    `expected a corruption: ${names.join(', ')}, or a list of them`,
  ),
)

/** The corruption that a description stands for; lists of misspellings are read from their files. */
export async function corruptionFrom(spec: CorruptionSpec): Promise<Corruption> {
  if (typeof spec === 'string') return plain[spec]
  if (isList(spec)) return compose(...(await Promise.all(spec.map(corruptionFrom))))
  if ('misspellings' in spec) return misspellings(await readPairs(spec.misspellings.file), spec.misspellings.rate)
  if ('partly' in spec) return partly(await corruptionFrom(spec.partly), spec.share)
  if ('withProbability' in spec) return withProbability(spec.withProbability, await corruptionFrom(spec.apply))
  if ('choose' in spec) {
    return choose(
      ...(await Promise.all(
        spec.choose.map(async ({ weight, apply }) => [weight, await corruptionFrom(apply)] as const),
      )),
    )
  }
  if ('dropSpaces' in spec) return dropSpaces(spec.dropSpaces)
  if ('doubleLetters' in spec) return doubleLetters(spec.doubleLetters)
  if ('dropCharacters' in spec) return dropCharacters(spec.dropCharacters)
  if ('swapCharacters' in spec) return swapCharacters(spec.swapCharacters)
  if ('repeatWords' in spec) return repeatWords(spec.repeatWords)
  return keyboardSlips(spec.keyboardSlips)
}

// One pair a line: the misspelling, a comma, tab or arrow, the correction; more columns are not read.
async function readPairs(file: string): Promise<[wrong: string, right: string][]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new MergeError('ERR_INPUT', `misspellings: expected a readable file, received ${file}`, { cause })
  })
  return text.split('\n').flatMap((line): [string, string][] => {
    const [wrong = '', right = ''] = line.trim().split(/\s*(?:,|\t|->)\s*/)
    return wrong === '' || right === '' ? [] : [[wrong, right]]
  })
}

function isList(spec: CorruptionSpec): spec is readonly CorruptionSpec[] {
  return Array.isArray(spec)
}
