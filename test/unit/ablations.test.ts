// Ablations: the list against the schemas, the plan of a study, and the figures of its table.
import { describe, expect, test } from 'vitest'
import { budgetOf } from '../../src/cli/ablate.js'
import { ablationPlan, variantSettings } from '../../src/cli/ablationPlan.js'
import { ablationMarkdown } from '../../src/cli/ablationTable.js'
import { MergeError } from '../../src/errors.js'
import { ablations, configured } from '../../src/merge/ablations.js'
import { type AblationReport, type AblationRun, spreadOf } from '../../src/training/ablationReport.js'
import { runConfig } from '../../src/training/runConfig.js'

const config = runConfig.parse({
  data: { file: 'a.txt' },
  heldOut: 5,
  folder: 'out',
  recipe: { steps: 9, seed: 7, drafts: { task: 0.9 }, best: { metric: 'exact' }, evaluateEvery: 3 },
})
const options = { folder: 'study', seeds: 3, data: 'print' }

describe('the list', () => {
  test('every variant is made of options that the schemas know', () => {
    const refused = ablations.flatMap(({ name, variants }) =>
      variants.flatMap((variant) => {
        try {
          variantSettings(config, variant.changes)
          return []
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFIG' })
          return [`${name}/${variant.name}`]
        }
      }),
    )
    expect(refused).toEqual([])
  })

  test('no two of a name; section 8 is whole', () => {
    const names = ablations.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, variants } of ablations)
      expect(new Set(variants.map((variant) => variant.name)).size, name).toBe(variants.length)
    const section8 = ['gate', 'insert-only', 'insertion', 'rounds', 'positions', 'profile', 'encodings']
    expect(names).toEqual(expect.arrayContaining([...section8, 'condition']))
  })
})

describe('a variant', () => {
  const variant = (ablation: string, name: string) => {
    const found = ablations.find((one) => one.name === ablation)?.variants.find((one) => one.name === name)
    return variantSettings(config, (found ?? configured).changes)
  }

  test('changes its options and no others', () => {
    const { config: fixed, refine } = variant('gate', 'edit')
    expect(refine).toMatchObject({ mode: 'edit', maxRounds: 6 })
    expect(fixed.recipe.losses).toEqual({ ...config.recipe.losses, gate: 0 })
    expect(fixed.recipe.drafts).toEqual(config.recipe.drafts)
    expect(fixed.model).toEqual(config.model)
    expect(variant('rounds', '3')).toMatchObject({ config: { recipe: { rounds: 3 } }, refine: { maxRounds: 3 } })
    expect(variant('deleter', 'linear').config.model.deleter).toBe('linear')
    expect(variant('insert-only', 'insert-only')).toMatchObject({
      config: { recipe: { losses: { compression: 0, length: 0, gate: 0, pointer: 0.5 }, ownDeletion: 0 } },
      refine: { mode: 'gen' },
    })
  })

  test('is not evaluated on the way, and can go on when it is cut short', () => {
    const { recipe } = variantSettings({ ...config, recipe: { ...config.recipe, saveEvery: 0 } }, {}).config
    expect(recipe).toMatchObject({ evaluateEvery: 0, best: undefined, saveEvery: 500, keep: 1 })
  })
})

describe('the plan', () => {
  test('the reference first, then what was asked for, one run a seed', () => {
    const plan = ablationPlan(config, { ...options, only: ['rounds', 'gate'] })
    expect(plan.map(({ ablation }) => ablation.name)).toEqual(['configured', 'gate', 'rounds'])
    const [run] = plan[1]?.variants[1]?.runs ?? []
    expect(plan[1]?.variants[1]?.runs.map(({ seed }) => seed)).toEqual([7, 8, 9])
    expect(run?.folder).toMatch(/^runs\/[0-9a-f]{12}-seed-7$/)
    expect(run?.config.folder).toBe(`study/${run?.folder}`)
  })

  test('variants that come to the same share their runs; all else has its own', () => {
    const folderOf = (changes: Partial<typeof options & { budget: { steps: number } }>, file = config) =>
      ablationPlan(file, { ...options, only: ['gate', 'rounds'], ...changes })
        .flatMap(({ variants }) => variants)
        .map(({ runs }) => runs[0]?.folder)
    const [reference, learned, edit, , , two] = folderOf({})
    expect(learned).toBe(reference)
    expect(edit).not.toBe(reference)
    // The configuration unrolls two rounds, but refines in six.
    expect(two).not.toBe(reference)
    expect(folderOf({ folder: 'elsewhere' })[0]).toBe(reference)
    expect(folderOf({ data: 'other' })[0]).not.toBe(reference)
    expect(folderOf({ budget: { steps: 10 } })[0]).not.toBe(reference)
    expect(folderOf({}, { ...config, heldOut: 6 })[0]).not.toBe(reference)
  })

  test('a budget takes the place of steps and minutes', () => {
    const recipeOf = (budget: { steps: number } | { minutes: number }) =>
      ablationPlan(config, { ...options, only: ['gate'], budget })[0]?.variants[0]?.runs[0]?.config.recipe
    expect(recipeOf({ minutes: 5 })).toMatchObject({ minutes: 5, steps: undefined })
    expect(recipeOf({ steps: 600 })).toMatchObject({ minutes: undefined, steps: 600 })
    expect(['5m', '0.5m', '600steps', '20 steps'].map(budgetOf)).toEqual([
      { minutes: 5 },
      { minutes: 0.5 },
      { steps: 600 },
      { steps: 20 },
    ])
    for (const text of ['', '5', 'm', '-1m', '0m', '5h', '1.2.3m'])
      expect(() => budgetOf(text), text).toThrow('5m or 600steps')
  })

  test('every refused variant is named at once', () => {
    expect.assertions(3)
    try {
      ablationPlan({ ...config, model: { ...config.model, heads: 3 } }, { ...options, only: ['gate', 'local-mix'] })
    } catch (error) {
      expect(error).toBeInstanceOf(MergeError)
      expect(String(error).match(/heads: expected/g)).toHaveLength(6)
    }
    const unknown = () => ablationPlan(config, { ...options, only: ['gat'] })
    expect(unknown).toThrow(/^only: expected names among gate, .*, received "gat"; did you mean "gate"\?$/)
  })
})

describe('the table', () => {
  const run = (exact: number | null, steps = 9): AblationRun => ({
    ...{ seed: 0, folder: 'x', steps, seconds: 1, parameters: 1 },
    figures: {
      ...{ exact, f05: 0.25, overCorrection: 0, deleterF1: null, rounds: 1, passes: 2 },
      ...{ tokensPerSecond: 12_345, trainTokensPerSecond: 1000 },
    },
  })

  test('mean and sample standard deviation over the runs that have a value', () => {
    expect(spreadOf([run(0.2), run(0.4), run(0.9)]).exact).toEqual({
      mean: 0.5,
      deviation: expect.closeTo(0.3605551275, 9),
      n: 3,
    })
    expect(spreadOf([run(0.2), run(null)]).exact).toEqual({ mean: 0.2, deviation: null, n: 1 })
    expect(spreadOf([]).exact).toEqual({ mean: null, deviation: null, n: 0 })
  })

  test('as Markdown: one line a variant; what is missing is a dash', () => {
    const variant = (title: string, runs: AblationRun[]) => ({
      name: title,
      title,
      changes: {},
      runs,
      figures: spreadOf(runs),
    })
    const report: AblationReport = {
      ...{ format: 1, version: '1', command: 'x', machine: 'm', budget: { minutes: 5 }, seeds: [1], heldOut: 1000 },
      ablations: [{ name: 'g', title: 'G', variants: [variant('a|b', [run(0.5), run(0.7, 12)]), variant('c', [])] }],
    }
    expect(ablationMarkdown(report).split('\n')).toEqual([
      '5 minutes of training each, 1,000 held-out examples, seed 1. Version 1; m.',
      '',
      '|  | exact, % | F0.5, % | over-corrected, % | deleter F1, % | rounds | passes | tokens/s | training tokens/s | steps |',
      '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
      '| **G (g)** |  |  |  |  |  |  |  |  |  |',
      '| a\\|b | 60.0 (14.1) | 25.0 (0.0) | 0.0 (0.0) | - | 1.00 (0.00) | 2.00 (0.00) | 12.3k (0) | 1.0k (0) | 9 to 12 |',
      '| c | - | - | - | - | - | - | - | - | - |',
    ])
  })
})
