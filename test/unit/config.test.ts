// The door for options: every wrong value is named with what was expected and what was received.
import { describe, expect, it } from 'vitest'
import { draftConfig, modelConfig, profileDefaults, recipe, refineConfig } from '../../src/config.js'
import { isMergeError } from '../../src/errors.js'
import { parseConfig } from '../../src/parseConfig.js'
import { remediConfig } from '../../src/remedi/config.js'
import { remediRunConfig, runConfig } from '../../src/training/runConfig.js'

function messageOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    if (isMergeError(error, 'ERR_CONFIG')) return error.message
    throw error
  }
  return 'accepted'
}

const run = { data: { file: 'letters.txt' }, folder: 'runs/letters' }

describe('parseConfig', () => {
  it.each([
    [recipe, { learnigRate: 1 }, 'recipe', 'recipe.learnigRate: unknown key; did you mean "learningRate"?'],
    [recipe, { batchRows: Number.NaN }, 'recipe', 'recipe.batchRows: expected a whole number 1..65536, received NaN'],
    [recipe, { batchRows: 1.5 }, 'recipe', 'recipe.batchRows: expected a whole number 1..65536, received 1.5'],
    [recipe, { clip: Infinity }, 'recipe', 'recipe.clip: expected a number >= 0, received Infinity'],
    [recipe, { minutes: 0 }, 'recipe', 'recipe.minutes: expected a number above 0, at most 1000000, received 0'],
    [recipe, { losses: { gates: 1 } }, 'recipe', 'recipe.losses.gates: unknown key; did you mean "gate"?'],
    [recipe, { tooLong: 'cut' }, 'recipe', 'recipe.tooLong: expected "error" or "drop", received "cut"'],
    [recipe, 'fast', 'recipe', 'recipe: expected an object, received "fast"'],
    [
      recipe,
      { drafts: { task: 0, noised: 0, subsequence: 0, empty: 0, fragment: 0, finished: 0 } },
      'recipe',
      'recipe.drafts: expected at least one share above 0, received none',
    ],
    [refineConfig, { editThreshold: 1.4 }, '', 'editThreshold: expected 0..1, received 1.4'],
    [refineConfig, { mode: 'polish' }, '', 'mode: expected "auto" or "edit" or "gen", received "polish"'],
    [refineConfig, { signal: {} }, '', 'signal: expected an AbortSignal, received an object'],
    [draftConfig, { locked: [[0]] }, '', 'locked[0]: expected [start, end), received a list of 1'],
    [modelConfig, { heads: 3 }, '', 'heads: expected width / heads to be an even number, received 128 / 3'],
    [modelConfig, { keyHeads: 3 }, '', 'keyHeads: expected a divisor of heads 4, received 3'],
    [modelConfig, { device: 'gpu' }, '', 'device: expected "cpu" or "cuda:<n>", received "gpu"'],
    [modelConfig, { layers: 0 }, '', 'layers: expected a whole number 1..256, received 0'],
    [runConfig, { ...run, folders: 'x' }, '', 'folders: unknown key; did you mean "folder"?'],
    [runConfig, { ...run, model: { widht: 64 } }, '', 'model.widht: unknown key; did you mean "width"?'],
    [runConfig, { ...run, model: { from: 'x', layers: 3 } }, '', 'model.layers: unknown key'],
    [
      runConfig,
      { ...run, model: { from: 'x' }, tokenizer: { kind: 'byte' } },
      '',
      'tokenizer.kind: expected that of model.from, received byte',
    ],
    [
      recipe,
      { maskShare: [0.5, 0.2] },
      'recipe',
      'recipe.maskShare: expected [least, most], received them the other way',
    ],
    [runConfig, { folder: 'x' }, '', 'data: expected an object, received nothing'],
    [remediConfig, { lora: { rank: 0 } }, '', 'lora.rank: expected a whole number 1..65536, received 0'],
    [remediConfig, { lora: { targets: [] } }, '', 'lora.targets: expected at least one, received a list of 0'],
    [remediConfig, { lora: { dropout: 0.1 } }, '', 'lora.dropout: unknown key'],
    [
      remediRunConfig,
      { ...run, family: 'remedi', recipe: { task: 'sft' }, lora: {} },
      '',
      'lora: expected none without `from`; a new model has model.lora',
    ],
  ] as const)('%#: %j', (schema, value, name, message) => {
    expect(messageOf(() => parseConfig(schema, value, name))).toBe(message)
  })

  it.each([
    [
      Number.NaN,
      'recipe.learningRate: expected a number or one of { constant }, { linear }, { cosine }, { chain }, received NaN',
    ],
    [
      { linear: { from: 0, to: Number.NaN, steps: 3 } },
      'recipe.learningRate.linear.to: expected a number, received NaN',
    ],
    [
      { liner: { from: 0 } },
      'recipe.learningRate: expected a number or one of { constant }, { linear }, { cosine }, { chain }, received an object',
    ],
    [
      'fast',
      'recipe.learningRate: expected a number or one of { constant }, { linear }, { cosine }, { chain }, received "fast"',
    ],
    // The second piece would hold from the first step on: the warm-up would never be.
    [
      { chain: [{ linear: { from: 0, to: 1, steps: 100 } }, { linear: { from: 1, to: 0, share: 1 } }] },
      'recipe.learningRate.chain: expected pieces whose starts rise, in one unit: steps or share',
    ],
    [
      { chain: [{ linear: { from: 0, to: 1, share: 0.1 } }, { linear: { from: 1, to: 0, start: 10, steps: 90 } }] },
      'recipe.learningRate.chain: expected pieces whose starts rise, in one unit: steps or share',
    ],
  ])('schedules: %j', (learningRate, message) => {
    expect(messageOf(() => parseConfig(recipe, { learningRate }, 'recipe'))).toBe(message)
  })

  it('names every thing that is wrong, one a line', () => {
    const message = messageOf(() => parseConfig(recipe, { seed: -1, keep: 0 }, 'recipe'))
    expect(message.split('\n')).toHaveLength(2)
  })

  it('never takes a prototype for an option', () => {
    const value: unknown = JSON.parse('{"__proto__": {"steps": 5}, "constructor": 1}')
    expect(messageOf(() => parseConfig(recipe, value, 'recipe'))).toContain('recipe.constructor: unknown key')
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('steps')
  })
})

describe('defaults', () => {
  it('feedForward follows the width', () => {
    expect(parseConfig(modelConfig, {}, '').feedForward).toBe(344)
    expect(parseConfig(modelConfig, { width: 768, heads: 12 }, '').feedForward).toBe(2048)
    expect(parseConfig(modelConfig, { feedForward: 512 }, '').feedForward).toBe(512)
  })

  it('a profile decides what is left out, and nothing else', () => {
    expect(modelConfig.parse({})).toMatchObject({ profile: 'aligned', ...profileDefaults.aligned })
    expect(modelConfig.parse({ profile: 'literal' })).toMatchObject(profileDefaults.literal)
    expect(modelConfig.parse({ profile: 'literal', deleter: 'block' }).deleter).toBe('block')
  })

  it('a resolved configuration is its own input', () => {
    for (const schema of [modelConfig, recipe, refineConfig]) {
      const once = schema.parse({})
      expect(schema.parse(JSON.parse(JSON.stringify(once)))).toEqual(once)
    }
  })

  it('a recipe with minutes has no steps, one with neither has the default', () => {
    expect(recipe.parse({ minutes: 8 }).steps).toBeUndefined()
    expect(recipe.parse({}).steps).toBe(10_000)
  })
})
