// A model on a GPU, through the public API: it learns there, and what it learned is the same model on the CPU. Without a
// GPU the refusal is tested, and the rest is skipped by name. MERGE_LM_TEST_DEVICE names another device.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MergeModel } from '../../src/model.js'
import { loadNative } from '../../src/native.js'
import { runCommand, saveTinyModel, tinyRun, tinySentences } from './commandChild.js'

const device = process.env.MERGE_LM_TEST_DEVICE ?? 'cuda:0'
const native = await loadNative()
await native.start(1)
const { cudaDevices } = await native.info()
const isThere = device === 'cpu' || Number(cudaDevices) > 0

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-device-'))
  writeFileSync(join(folder, 'sentences.txt'), tinySentences)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a device that is not there is refused by name', async () => {
  await saveTinyModel(join(folder, 'tiny'))
  const refused = MergeModel.load(join(folder, 'tiny'), { device: 'cuda:99' })
  await expect(refused).rejects.toMatchObject({
    code: 'ERR_DEVICE',
    message: expect.stringMatching(/^device: expected .*cuda:99/),
  })
})

test.skipIf(!isThere)(`learn on ${device}, read on the CPU`, async () => {
  const config = { ...tinyRun, model: { ...tinyRun.model, device }, recipe: { ...tinyRun.recipe, steps: 30 } }
  writeFileSync(join(folder, 'run.json'), JSON.stringify(config))
  const ended = await runCommand(['train', 'run.json'], { cwd: folder })
  expect(ended.code, ended.errors).toBe(0)

  const draft = 'the dog barks at the fx.'
  await using far = await MergeModel.load(join(folder, 'out/model'), { device })
  await using near = await MergeModel.load(join(folder, 'out/model'), { device: 'cpu' })
  const [a, b] = [await far.edit(draft), await near.edit(draft)]
  expect(a.text).toBe(b.text)
  expect(a.rounds).toBe(b.rounds)
})
