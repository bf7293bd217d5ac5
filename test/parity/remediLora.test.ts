// LoRA on an official checkpoint: the base model at step 0, training that leaves the base, and updates that are merged into
// our layout and the official one.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRemediRun } from '../../src/cli/openRun.js'
import { sessionKey } from '../../src/openModel.js'
import { RemediModel } from '../../src/remedi/model.js'
import { packRows } from '../../src/rows.js'
import { remediRunConfig } from '../../src/training/runConfig.js'
import { Trainer } from '../../src/training/trainer.js'
import { worstError } from './golden.js'
import { checkpointFolder, readExpected, readTensors } from './remediGolden.js'

const rank = 4
const examples = Array.from({ length: 24 }, (_, i) => {
  const ids = Array.from({ length: 12 }, (_, j) => 5 + ((i + j) % 20))
  return { source: ids.slice(0, 4).join(' '), target: ids.slice(4).join(' ') }
})
const recipe = { task: 'sft', batchRows: 8, learningRate: 1e-2, confidenceWeight: 0.3 } as const

describe('LoRA on the official depth12-gqa', () => {
  let checkpoint: Awaited<ReturnType<typeof checkpointFolder>>
  let folder: string
  let tokens: ReturnType<typeof packRows>
  let base: RemediModel
  let tuned: RemediModel

  const saidBy = async (model: RemediModel) => {
    const { logits, confidence } = await model[sessionKey].inspect(tokens, ['logits', 'confidence'])
    return { logits: logits?.values ?? new Float32Array(), confidence: confidence?.values ?? new Float32Array() }
  }
  const expectNear = async (model: RemediModel) => {
    const [a, b] = [await saidBy(model), await saidBy(tuned)]
    expect(worstError(a.logits, b.logits)).toBeLessThanOrEqual(1e-5)
    expect(worstError(a.confidence, b.confidence)).toBeLessThanOrEqual(1e-5)
  }

  beforeAll(async () => {
    checkpoint = await checkpointFolder('depth12-gqa', (config) => ({ ...config, eos_token_id: 1 }))
    folder = await mkdtemp(join(tmpdir(), 'merge-lm-lora-'))
    tokens = packRows([Int32Array.from((await readExpected('depth12-gqa'))('prompt_ids'))])
    base = await RemediModel.fromPretrained(checkpoint.path, { threads: 2 })
    tuned = await RemediModel.fromPretrained(checkpoint.path, { lora: { rank } })
  })
  afterAll(async () => {
    await base.dispose()
    await tuned.dispose()
    await checkpoint[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  it('is the base model before it learns', async () => {
    expect(await saidBy(tuned)).toEqual(await saidBy(base))
    expect(tuned.trainableCount).toBe(tuned.parameterCount - base.parameterCount)
    expect(base.trainableCount).toBe(base.parameterCount)
  })

  it('learns in its updates alone, and holds gradients and moments for nothing else', async () => {
    const losses: number[] = []
    const trainer = new Trainer(tuned, { ...recipe, steps: 12 })
    for await (const { total } of trainer.run(examples)) losses.push(total)
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] ?? 0))
    const full = await RemediModel.fromPretrained(checkpoint.path)
    for await (const _ of new Trainer(full, { ...recipe, steps: 1 }).run(examples)) {
      // One step, for what it holds.
    }
    const [a, b] = [await tuned.memory(), await full.memory()]
    console.log(`LoRA ${JSON.stringify(a)}, full ${JSON.stringify(b)}`)
    expect(a.gradientBytes).toBe(4 * tuned.trainableCount)
    expect(a.optimizerBytes).toBe(8 * tuned.trainableCount)
    expect(b.gradientBytes).toBe(4 * full.parameterCount)
    await full.dispose()
  })

  it('keeps the bits of the base through saving, loading and going on', async () => {
    const path = join(folder, 'tuned')
    await tuned.save(path)
    const original = join(folder, 'base')
    await base.save(original)
    const [saved, kept] = [
      await readTensors(join(path, 'model.safetensors')),
      await readTensors(join(original, 'model.safetensors')),
    ]
    for (const [name, { bytes }] of kept) expect(saved.get(name)?.bytes.equals(bytes), name).toBe(true)
    await using again = await RemediModel.load(path)
    expect(again.config).toEqual(tuned.config)
    expect(await saidBy(again)).toEqual(await saidBy(tuned))
    await expect(RemediModel.load(path, { lora: {} })).rejects.toThrow('lora: expected none, as this model has updates')
    await using begun = await RemediModel.load(original, { lora: { targets: ['q', 'v'] } })
    expect(await saidBy(begun)).toEqual(await saidBy(base))
    expect(begun.config.lora).toEqual({ rank: 8, alpha: 16, targets: ['q', 'v'], policy: 'lora' })
  })

  it('merges into the official layout and into ours', async () => {
    const official = join(folder, 'official')
    await tuned.exportPretrained(official)
    const original = await readTensors(join(checkpoint.path, 'model.safetensors'))
    const written = await readTensors(join(official, 'model.safetensors'))
    expect([...written.keys()].sort()).toEqual([...original.keys()].sort())
    await using imported = await RemediModel.fromPretrained(official)
    expect(imported.config.lora).toBeUndefined()
    await expectNear(imported)
    expect(worstError((await saidBy(imported)).logits, (await saidBy(base)).logits)).toBeGreaterThan(1e-2)
    const ours = join(folder, 'merged')
    await tuned.save(ours, { mergeLora: true })
    await using merged = await RemediModel.load(ours)
    expect(merged.config).toEqual(base.config)
    await expectNear(merged)
  })

  it('a run may begin from it, by its file alone', async () => {
    const data = join(folder, 'data.jsonl')
    await writeFile(data, examples.map((example) => JSON.stringify(example)).join('\n'))
    const file = { family: 'remedi', from: checkpoint.path, lora: { rank: 2 }, data: { file: data }, folder }
    const { model, trainer } = await openRemediRun(remediRunConfig.parse({ ...file, recipe: { ...recipe, steps: 1 } }))
    expect(model.config.lora?.rank).toBe(2)
    expect(await saidBy(model)).toEqual(await saidBy(base))
    for await (const { step } of trainer.run(examples)) expect(step).toBe(1)
    await model.dispose()
  })

  it('a checkpoint is resumed with the same bits', async () => {
    const options = { lora: { rank: 2, targets: ['v', 'gate'] as const } }
    const run = { ...recipe, steps: 4, saveEvery: 2 }
    const path = join(folder, 'checkpoint')
    await using whole = await RemediModel.fromPretrained(checkpoint.path, options)
    const trainer = new Trainer(whole, run)
    for await (const { step } of trainer.run(examples)) if (step === 2) await trainer.save(path)
    const resumed = await Trainer.resume(path, {}, RemediModel)
    for await (const _ of resumed.run(examples)) {
      // To the end.
    }
    expect(await saidBy(resumed.model)).toEqual(await saidBy(whole))
    await resumed.model.dispose()
  })
})
