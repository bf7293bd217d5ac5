// RunConfig: a whole training run as one file: model, tokenizer, data, corruption, recipe, and where it goes.

import { z } from 'zod'
import { gptConfig } from '../baselines/gptConfig.js'
import { gptRecipe } from '../baselines/gptTask.js'
import { levtConfig } from '../baselines/levtConfig.js'
import { levtRecipe } from '../baselines/levtTask.js'
import { maskgitConfig } from '../baselines/maskgitConfig.js'
import { maskgitRecipe } from '../baselines/maskgitTask.js'
import { loraConfig } from '../config/lora.js'
import { modelConfig, pretrainedConfig, recipe } from '../config.js'
import { remediConfig } from '../remedi/config.js'
import { generateConfig } from '../remedi/generateConfig.js'
import { remediRecipe, rewardSpec } from '../remedi/recipe.js'
import { corruptionSpec } from '../text/corruptionSpec.js'
import { datasetSpec } from '../text/datasetSpec.js'

const frequency = z.int('expected a whole number >= 1').min(1, 'expected a whole number >= 1')

/** How text becomes tokens. */
export const tokenizerConfig = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('character').describe('one token a character; the alphabet is collected from the data'),
    caseShift: z.boolean().default(true).describe('a capital is a shift token and its small letter, lossless'),
    minFrequency: frequency.default(1).describe('rarer characters are written as bytes'),
  }),
  z.strictObject({ kind: z.literal('byte').describe('one token a byte of UTF-8') }),
  z.strictObject({
    kind: z.literal('bpe').describe('byte-level BPE, trained on the data'),
    vocabularySize: z.int('expected a whole number').default(8192).describe('ids in all (261..1,000,000)'),
    minFrequency: frequency.default(2).describe('a pair must occur this often to be merged'),
  }),
  z.strictObject({
    kind: z.literal('file').describe('any tokenizer.json'),
    path: z.string().min(1).describe('the file, or the folder that holds it'),
  }),
  z.strictObject({ kind: z.literal('pretrained').describe('that of model.from') }),
])

/** A new model, or one whose encoder and head start from a folder's weights. */
const runModel = z.union([
  pretrainedConfig.extend({
    from: z
      .string()
      .min(1, 'expected a folder')
      .describe('folder of published weights (LLaMA, Mistral, Qwen2, BERT, ModernBERT), or of a trained model'),
  }),
  modelConfig,
])

const common = {
  data: datasetSpec.describe('what is learned from'),
  heldOut: z
    .int('expected a whole number >= 0')
    .min(0, 'expected a whole number >= 0')
    .default(0)
    .describe('examples held out of the data by the seed of the recipe, for evaluation'),
  corruption: corruptionSpec.default('untouched').describe('makes the drafts of examples that have none of their own'),
  folder: z.string().min(1, 'expected a folder').describe('where the model, metrics and checkpoints go'),
}

/** The schema of a run's file, for a MERGE model. */
export const runConfig = z
  .strictObject({
    family: z.literal('merge').default('merge').describe('the kind of model: merge, remedi, gpt, levt or maskgit'),
    model: runModel.prefault({}).describe('shape of the model'),
    tokenizer: tokenizerConfig
      .optional()
      .describe('how text becomes tokens; default: characters, or the tokenizer of model.from'),
    ...common,
    recipe: recipe.prefault({}).describe('how the model is trained'),
  })
  .superRefine(({ model, tokenizer }, context) => {
    if (tokenizer === undefined || (tokenizer.kind === 'pretrained') === 'from' in model) return
    const message = 'from' in model ? 'expected that of model.from' : 'expected another kind without model.from'
    context.addIssue({ code: 'custom', path: ['tokenizer', 'kind'], message: `${message}, received ${tokenizer.kind}` })
  })
  .transform((config) => ({ ...config, tokenizer: config.tokenizer ?? defaultTokenizer(config.model) }))

const characters = { kind: 'character', caseShift: true, minFrequency: 1 } as const

function defaultTokenizer(model: z.output<typeof runModel>) {
  return 'from' in model ? ({ kind: 'pretrained' } as const) : characters
}

/** The schema of a run's file, for a RemeDi model. */
export const remediRunConfig = z
  .strictObject({
    family: z.literal('remedi').describe('the kind of model'),
    from: z
      .string()
      .min(1, 'expected a folder')
      .optional()
      .describe(
        'a model to start from, with its shape and tokenizer: the folder of an earlier stage, or a checkpoint in ' +
          'Hugging Face layout',
      ),
    lora: loraConfig.optional().describe('low-rank updates of `from` learn; its own weights stay as they are'),
    model: remediConfig.optional().describe('shape of a new model'),
    ...common,
    tokenizer: tokenizerConfig.optional().describe('how text becomes tokens, of a new model'),
    recipe: remediRecipe.describe('how the model is trained: base, sft or rl'),
    evaluation: z
      .strictObject({
        data: datasetSpec.optional().describe('examples to answer; default: those held out'),
        generate: generateConfig.in.prefault({}).describe('how they are answered'),
        reward: rewardSpec.optional().describe('what a completion is worth'),
      })
      .prefault({})
      .describe('what is measured every recipe.evaluateEvery steps'),
  })
  .superRefine(({ from, lora, model, tokenizer }, context) => {
    if (from === undefined) {
      const message = 'expected none without `from`; a new model has model.lora'
      if (lora !== undefined) context.addIssue({ code: 'custom', path: ['lora'], message })
      return
    }
    for (const [path, given] of Object.entries({ model, tokenizer })) {
      const message = 'expected none, since `from` has its own'
      if (given !== undefined) context.addIssue({ code: 'custom', path: [path], message })
    }
  })

/** What the files of baselines share. */
const baselineFields = {
  tokenizer: tokenizerConfig.default(characters).describe('how text becomes tokens; default: characters'),
  ...common,
}

/** The schema of a run's file, for an autoregressive model. */
export const gptRunConfig = z.strictObject({
  family: z.literal('gpt').describe('the kind of model'),
  model: gptConfig.prefault({}).describe('shape of the model'),
  ...baselineFields,
  recipe: gptRecipe.prefault({}).describe('how the model is trained'),
})

/** The schema of a run's file, for a Levenshtein Transformer. */
export const levtRunConfig = z.strictObject({
  family: z.literal('levt').describe('the kind of model'),
  model: levtConfig.prefault({}).describe('shape of the model'),
  ...baselineFields,
  recipe: levtRecipe.prefault({}).describe('how the model is trained'),
})

/** The schema of a run's file, for a mask-predict model. */
export const maskgitRunConfig = z.strictObject({
  family: z.literal('maskgit').describe('the kind of model'),
  model: maskgitConfig.prefault({}).describe('shape of the model'),
  ...baselineFields,
  recipe: maskgitRecipe.prefault({}).describe('how the model is trained'),
})

export type RunConfig = Readonly<z.output<typeof runConfig>>
export type RunConfigInput = z.input<typeof runConfig>
export type RemediRunConfig = Readonly<z.output<typeof remediRunConfig>>
export type RemediRunConfigInput = z.input<typeof remediRunConfig>
export type GptRunConfig = Readonly<z.output<typeof gptRunConfig>>
export type LevtRunConfig = Readonly<z.output<typeof levtRunConfig>>
export type MaskGitRunConfig = Readonly<z.output<typeof maskgitRunConfig>>
/** The file of a run of any family. */
export type AnyRunConfig = RunConfig | RemediRunConfig | GptRunConfig | LevtRunConfig | MaskGitRunConfig

const schemas = {
  merge: runConfig,
  remedi: remediRunConfig,
  gpt: gptRunConfig,
  levt: levtRunConfig,
  maskgit: maskgitRunConfig,
} as const
const familySchema = z
  .looseObject({ family: z.enum(['merge', 'remedi', 'gpt', 'levt', 'maskgit']) })
  .catch({ family: 'merge' })

/** The schema by the `family` that a file names, `merge` where it names none. */
export function runSchema(file: unknown): z.ZodType<AnyRunConfig> {
  return schemas[familySchema.parse(file).family]
}
