// Families: every kind of model the inference suite runs, each as a few lines of a table.

import { GptModel } from '../baselines/gpt.js'
import { randomFrom } from '../random.js'
import { RemediModel } from '../remedi/model.js'
import { idTokenizer } from '../text/idTokenizer.js'
import { builtInSpecial, builtInSpecialCount, type Tokenizer } from '../text/tokenizer.js'
import type { BenchSize } from './benchSize.js'
import type { Family, FamilyOptions, OpenFamily } from './family.js'
import { openLevt, openMaskgit, openMerge } from './roundFamilies.js'

const remediBlock = 32

/** All of them. To add one: a name, what a call does, and how it is opened. */
export const families: readonly Family[] = [
  {
    name: 'MERGE, two encodings',
    task: ({ size, rounds }) => `edit ${size.length} tokens, ${rounds} rounds`,
    open: (options) => openMerge(options, 'two', tokenizerOf(options)),
  },
  {
    name: 'MERGE, one encoding',
    task: ({ size, rounds }) => `edit ${size.length} tokens, ${rounds} rounds`,
    open: (options) => openMerge(options, 'one', tokenizerOf(options)),
  },
  {
    name: 'LevT',
    task: ({ size, rounds }) => `edit ${size.length} tokens, ${rounds} rounds`,
    open: (options) => openLevt(options, tokenizerOf(options)),
  },
  {
    name: 'MaskGIT',
    task: ({ size, rounds }) => `read ${size.length} tokens, write as many in ${rounds} rounds`,
    open: (options) => openMaskgit(options, tokenizerOf(options)),
  },
  {
    name: 'RemeDi',
    task: ({ size, rounds }) =>
      `read ${size.length} tokens, write ${size.length} in blocks of ${remediBlock}, ${4 * rounds} steps each`,
    open: openRemedi,
  },
  {
    name: 'GPT',
    task: ({ size }) => `read ${size.length} tokens, write ${size.length}`,
    open: openGpt,
  },
]

/** Drafts that are the same for every family: random words, no special ids. */
export function draftsOf({ vocabulary, length }: BenchSize, rows: number): Int32Array[] {
  const random = randomFrom(1, 0, 0, 'bench drafts')
  const word = (): number => builtInSpecialCount + random.integer(vocabulary - builtInSpecialCount)
  return Array.from({ length: rows }, () => Int32Array.from({ length }, word))
}

/** A tokenizer whose texts are ids. */
function tokenizerOf({ size }: FamilyOptions): Tokenizer {
  return idTokenizer({ vocabularySize: size.vocabulary, special: builtInSpecial })
}

const shapeOf = ({ size: { layers, width, heads, feedForward } }: FamilyOptions) => {
  return { layers, width, heads, feedForward }
}

async function openRemedi(options: FamilyOptions): Promise<OpenFamily> {
  const { size, dtype, threads, rounds } = options
  const model = await RemediModel.create({
    ...shapeOf(options),
    tokenizer: tokenizerOf(options),
    maxLength: 2 * size.length,
    blockLength: Math.min(remediBlock, size.length),
    dtype,
    threads,
  })
  return {
    memory: () => model.memory(),
    dispose: () => model.dispose(),
    async run(drafts) {
      const prompts = drafts.map((tokens) => ({ tokens }))
      const settings = { steps: 4 * rounds, maxNewTokens: size.length, stopAtEndOfText: false, detectCycles: false }
      const answers = await model.complete(prompts, { ...settings, batchRows: drafts.length })
      const evaluations = answers.reduce((sum, answer) => sum + answer.evaluations, 0)
      return { tokens: drafts.length * size.length, passes: evaluations / drafts.length }
    },
  }
}

async function openGpt(options: FamilyOptions): Promise<OpenFamily> {
  const { size, dtype, threads, gptFolder } = options
  const model =
    gptFolder === undefined
      ? await GptModel.create({
          ...shapeOf(options),
          tokenizer: tokenizerOf(options),
          maxLength: 2 * size.length,
          dtype,
          threads,
        })
      : await GptModel.fromPretrained(gptFolder, { dtype, threads })
  return {
    memory: () => model.memory(),
    dispose: () => model.dispose(),
    async run(drafts) {
      const prompts = drafts.map((tokens) => ({ tokens }))
      const settings = { maxNewTokens: size.length, stopAtEndOfText: false, batchRows: drafts.length }
      const answers = await model.generate(prompts, settings)
      const tokens = answers.reduce((sum, answer) => sum + answer.tokens.length, 0)
      return { tokens, passes: size.length }
    },
  }
}
