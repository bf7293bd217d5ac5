// The door for options: every wrong value is named with what was expected and what was received.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  draftConfig,
  modelConfig,
  modelRecord,
  recipe,
  refineConfig,
  roundRecord,
  stepRecord,
} from '../../src/config.js'
import { isMergeError } from '../../src/errors.js'
import { parseConfig } from '../../src/parseConfig.js'
import { runConfig } from '../../src/training/runConfig.js'

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
    [runConfig, { folder: 'x' }, '', 'data: expected an object, received nothing'],
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

describe('records', () => {
  it('open: the engine gets exactly these fields', () => {
    const record = modelRecord(modelConfig.parse({}), { vocabulary: 300, pad: 0, bos: 1, eos: 2, mask: 3, sep: 4 }, 7)
    expect(Object.keys(record).sort()).toEqual(
      (
        'family vocabulary width layers heads keyHeads feedForward maxLength maxInsert localMix positions ropeBase normEpsilon deleter ' +
        'inserter gateFeatures condition encodings pad bos eos mask sep dtype device matmulPrecision seed'
      )
        .split(' ')
        .sort(),
    )
  })

  it('trainStep and evaluate: the engine gets exactly these fields', () => {
    const record = stepRecord(recipe.parse({}), { step: 0, rounds: 1, learningRate: 1, gateNoise: 0 })
    expect(Object.keys(record).sort()).toEqual(
      (
        'step seed rounds learningRate beta1 beta2 epsilon weightDecay clip weightRecon weightCompression weightPointer ' +
        'weightGate weightLength keepReduction keepKl countSmoothing scoreEntropy gateCost labelSmoothing gateNoise ' +
        'ownDeletion subsequence ownFill accumulation'
      )
        .split(' ')
        .sort(),
    )
  })

  it('every field is one that the engine reads', () => {
    const folder = join(import.meta.dirname, '../../native')
    const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(cc|h)$/.test(name))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n')
    const records = [
      modelRecord(modelConfig.parse({}), { vocabulary: 300, pad: 0, bos: 1, eos: 2, mask: 3, sep: 4 }, 7),
      stepRecord(recipe.parse({}), { step: 0, rounds: 1, learningRate: 1, gateNoise: 0 }),
      roundRecord(refineConfig.parse({}), { round: 0, maxLength: 256, shift: -1 }),
    ]
    const unread = records.flatMap((record) => Object.keys(record)).filter((name) => !sources.includes(`"${name}"`))
    expect(unread).toEqual([])
  })

  it('refineRound: the engine gets exactly these fields', () => {
    expect(Object.keys(roundRecord(refineConfig.parse({}), { round: 0, maxLength: 256, shift: -1 })).sort()).toEqual(
      'mode editThreshold keepThreshold fillThreshold temperature topK topP seed round maxLength shift'
        .split(' ')
        .sort(),
    )
  })
})
