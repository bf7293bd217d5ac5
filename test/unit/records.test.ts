// The border's records: TypeScript sends exactly the fields that the engine reads, and reads only what the engine reports.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { gptConfig, gptRecord } from '../../src/baselines/gptConfig.js'
import { levtConfig, levtRecord, levtRefineConfig, levtRoundRecord } from '../../src/baselines/levtConfig.js'
import { levtRecipe, levtStepRecord, levtTask } from '../../src/baselines/levtTask.js'
import { maskgitConfig, maskgitRecord } from '../../src/baselines/maskgitConfig.js'
import { maskgitRecipe, maskgitTask } from '../../src/baselines/maskgitTask.js'
import { modelConfig, modelRecord, recipe, refineConfig, roundRecord, stepRecord } from '../../src/config.js'
import { remediConfig, remediRecord } from '../../src/remedi/config.js'
import { denoiseRecord, generateConfig } from '../../src/remedi/generateConfig.js'
import { byteTokenizer } from '../../src/text/byteTokenizer.js'

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8')

/** Fields that a source reads off a record variable: `step.number("clip")`, `positive(config, "width")`. */
function fieldsRead(source: string, variable: string): string[] {
  const names = [
    ...source.matchAll(new RegExp(`\\b${variable}\\.(?:number|integer|word|flag)\\("(\\w+)"\\)`, 'g')),
    ...source.matchAll(new RegExp(`\\b\\w+\\(${variable}, "(\\w+)"`, 'g')),
  ].map(([, name = '']) => name)
  return [...new Set(names)].sort()
}

const engine = read('native/engine.cc')
const family = read('native/merge/merge_family.cc')
const sorted = (...lists: string[][]) => [...new Set(lists.flat())].sort()

/** Fields that the engine reads to open a family's model: those of its own sources, and those that every family has. */
function readToOpen(...own: string[]): string[] {
  const all = [...own, 'native/nn/llama_block.cc', 'native/nn/placement.cc', 'native/family.cc']
  const wanted = sorted(...all.map((path) => fieldsRead(read(path), 'config')))
  expect(wanted.length).toBeGreaterThan(15)
  return wanted
}

describe('records', () => {
  it('that open a model', () => {
    const ids = { vocabulary: 300, pad: 0, bos: 1, eos: 2, mask: 3, sep: 4 }
    const sent = Object.keys(modelRecord(modelConfig.parse({}), ids, 0))
    const wanted = readToOpen('native/merge/model.cc', 'native/nn/encoder_config.cc')
    expect(wanted).toEqual(sorted(sent))
  })

  it('that open a RemeDi model', () => {
    const ids = { embeddings: 300, mask: 3 }
    const sent = Object.keys(remediRecord(remediConfig.parse({}), ids, { seed: 0, start: 'random' }))
    const wanted = readToOpen('native/remedi/model.cc', 'native/nn/token_stream.cc', 'native/nn/lora.cc')
    expect(wanted).toEqual(sorted(sent))
  })

  it('that open an autoregressive model', () => {
    const sent = Object.keys(gptRecord(gptConfig.parse({}), 300, { seed: 0, start: 'random' }))
    const wanted = readToOpen('native/baselines/gpt.cc', 'native/nn/token_stream.cc')
    expect(wanted).toEqual(sorted(sent))
  })

  it('that open a Levenshtein Transformer', () => {
    const ids = { vocabulary: 300, pad: 0, bos: 1, eos: 2, mask: 3, sep: 4 }
    const wanted = readToOpen('native/baselines/levt.cc', 'native/nn/encoder_config.cc')
    expect(wanted).toEqual(sorted(Object.keys(levtRecord(levtConfig.parse({}), ids, 0))))
  })

  it('of a Levenshtein Transformer: step, round and report', () => {
    const training = read('native/baselines/levt_training.cc')
    const door = read('native/baselines/levt_family.cc')
    const step = levtStepRecord(levtRecipe.parse({}), { step: 0, learningRate: 1e-3 })
    const ofStep = sorted(fieldsRead(training + engine + door, 'step')).filter((name) => name !== 'secondLearningRate')
    expect(ofStep).toEqual(sorted(Object.keys(step)))
    const round = levtRoundRecord(levtRefineConfig.parse({}), { shift: -1 })
    const ofRound = sorted(fieldsRead(read('native/baselines/levt_round.cc') + door, 'options'))
    expect(ofRound).toEqual(sorted(Object.keys(round)))
    const reported = [...training.matchAll(/\breport\.set\("(\w+)"/g)].map(([, name = '']) => name)
    const used: string[] = []
    levtTask(levtRecipe.parse({}), 8).figures((name) => used.push(name))
    expect(used.length).toBeGreaterThan(5)
    expect(used.filter((name) => !reported.includes(name))).toEqual([])
  })

  it('that open a mask-predict model, and of its steps', () => {
    const sent = Object.keys(
      maskgitRecord(maskgitConfig.parse({}), { embeddings: 300, mask: 3 }, { seed: 0, start: 'random' }),
    )
    const wanted = readToOpen('native/baselines/maskgit.cc', 'native/nn/token_stream.cc')
    expect(wanted).toEqual(sorted(sent))
    const decision = maskgitTask(maskgitRecipe.parse({}), byteTokenizer()).decide({ step: 0, progress: 0 })
    const own = read('native/baselines/maskgit_training.cc') + read('native/baselines/maskgit_family.cc')
    const ofStep = sorted(fieldsRead(own, 'step'), fieldsRead(engine, 'step'))
    // Masks are drawn here: the engine needs no seed.
    const drawn = Object.keys(decision).filter((name) => name !== 'seed')
    expect(ofStep.filter((name) => name !== 'secondLearningRate')).toEqual(sorted(drawn))
  })

  it('of a training step', () => {
    const choice = { step: 0, rounds: 1, learningRate: 1e-3, gateNoise: 0, temperature: 1 }
    const sent = Object.keys(stepRecord(recipe.parse({}), choice, modelConfig.parse({})))
    const ofStep = fieldsRead(read('native/merge/step_options.cc'), 'record')
    // Only families with two streams have a second learning rate.
    const sources = engine + family + read('native/merge/pretrain.cc')
    const wanted = sorted(ofStep, fieldsRead(sources, 'step')).filter((name) => name !== 'secondLearningRate')
    expect(wanted.length).toBeGreaterThan(20)
    expect(wanted).toEqual(sorted(sent))
  })

  it('of a refinement round', () => {
    const sent = Object.keys(
      roundRecord(
        refineConfig.parse({}),
        { round: 0, maxLength: 10, shift: -1, generation: -1 },
        modelConfig.parse({}),
      ),
    )
    const wanted = sorted(fieldsRead(read('native/merge/round.cc'), 'record'), fieldsRead(engine + family, 'options'))
    expect(wanted.length).toBeGreaterThan(7)
    expect(wanted).toEqual(sorted(sent))
  })

  it('of a denoising step', () => {
    const sent = Object.keys(denoiseRecord(generateConfig.parse({}), { policy: 'rank', vocabulary: 10 }))
    const wanted = fieldsRead(read('native/remedi/denoise.cc'), 'record')
    expect(wanted.length).toBeGreaterThan(6)
    expect(wanted).toEqual(sorted(sent))
  })

  it('that report a step', () => {
    const reported = [...(read('native/merge/tally.cc') + engine).matchAll(/\breport\.set\("(\w+)"/g)].map(([, n]) => n)
    const sources = read('src/training/report.ts') + read('src/merge/mergeTask.ts')
    const used = [...sources.matchAll(/\bnumber\('(\w+)'\)/g)].map(([, name]) => name)
    expect(used.length).toBeGreaterThan(10)
    expect(used.filter((name) => !reported.includes(name))).toEqual([])
  })

  it('leave no other source of the engine with fields of its own', () => {
    for (const path of ['native/merge/losses.cc', 'native/merge/gate.cc', 'native/nn/encoder.cc']) {
      expect(read(path)).not.toMatch(/\.(?:number|integer|word|flag)\("/)
    }
  })
})
