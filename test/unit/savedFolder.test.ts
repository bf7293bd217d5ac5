// Saved folders: whole or not at all; every lie of a manifest is found (reliability B.8).
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { isMergeError } from '../../src/errors.js'
import { verifyFolder, writeFolder } from '../../src/savedFolder.js'
import {
  latestCheckpoint,
  resumableCheckpoint,
  rotateCheckpoints,
  setAsideAfter,
  sweepLeftovers,
} from '../../src/training/checkpoint.js'

let place: string
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'saved-'))
})

const save = (name: string, step: number, content = 'weights') =>
  writeFolder(join(place, name), { kind: 'checkpoint', step }, async (folder) => {
    await writeFile(join(folder, 'model.safetensors'), content)
    await writeFile(join(folder, 'config.json'), '{}')
  })

async function rewrite(folder: string, change: (manifest: Record<string, unknown>) => unknown): Promise<void> {
  const path = join(folder, 'manifest.json')
  await writeFile(path, JSON.stringify(change(JSON.parse(await readFile(path, 'utf8')))))
}

const file = (name: string, more: object = {}) => ({ name, bytes: 7, sha256: '0'.repeat(64), ...more })

describe('writeFolder', () => {
  it('writes a private folder with sizes and hashes, and leaves nothing else', async () => {
    await save('step-1', 1)
    expect(await readdir(place)).toEqual(['step-1'])
    expect((await stat(join(place, 'step-1'))).mode & 0o777).toBe(0o700)
    const manifest = await verifyFolder(join(place, 'step-1'))
    expect(manifest).toMatchObject({ format: 1, kind: 'checkpoint', step: 1 })
    expect(manifest.files.map(({ name, bytes }) => [name, bytes])).toEqual([
      ['config.json', 2],
      ['model.safetensors', 7],
    ])
  })

  it('replaces a folder of ours, and refuses any other', async () => {
    await save('model', 1, 'old')
    await save('model', 2, 'newer')
    expect((await verifyFolder(join(place, 'model'))).step).toBe(2)
    expect(await readdir(place)).toEqual(['model'])
    await mkdir(join(place, 'letters'))
    await writeFile(join(place, 'letters', 'dear.txt'), 'do not lose me')
    await expect(save('letters', 1)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
    expect(await readdir(join(place, 'letters'))).toEqual(['dear.txt'])
  })

  it('a write that fails leaves the old one and no rest', async () => {
    await save('model', 1)
    const failing = writeFolder(join(place, 'model'), { kind: 'model' }, async () => {
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    })
    await expect(failing).rejects.toMatchObject({ code: 'ERR_CHECKPOINT', details: { errno: 'ENOSPC' } })
    expect((await verifyFolder(join(place, 'model'))).step).toBe(1)
    expect(await readdir(place)).toEqual(['model'])
  })

  it('a path below a file is refused in words', async () => {
    await writeFile(join(place, 'file'), '')
    await expect(save('file/model', 1)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
    await expect(save('file', 1)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
  })
})

describe('verifyFolder', () => {
  const lies: [string, RegExp, (folder: string) => Promise<unknown>][] = [
    ['a missing file', /model.safetensors is missing/, (folder) => rm(join(folder, 'model.safetensors'))],
    [
      'a truncated file',
      /model.safetensors is truncated: expected 7 bytes, received 3/,
      (folder) => truncate(join(folder, 'model.safetensors'), 3),
    ],
    [
      'a longer file',
      /too long: expected 7 bytes, received 8/,
      (folder) => writeFile(join(folder, 'model.safetensors'), 'weights!'),
    ],
    [
      'a flipped bit',
      /model.safetensors is damaged: expected SHA-256/,
      (folder) => writeFile(join(folder, 'model.safetensors'), 'weightr'),
    ],
    [
      'a hash of another file',
      /is damaged/,
      (folder) => rewrite(folder, (m) => ({ ...m, files: [file('model.safetensors')] })),
    ],
    [
      'a way out',
      /not a manifest/,
      (folder) => rewrite(folder, (m) => ({ ...m, files: [file('../model.safetensors')] })),
    ],
    [
      'an absolute name',
      /not a manifest/,
      (folder) => rewrite(folder, (m) => ({ ...m, files: [file('/etc/passwd')] })),
    ],
    ['a name of dots', /not a manifest/, (folder) => rewrite(folder, (m) => ({ ...m, files: [file('..')] }))],
    [
      'a symlink',
      /not a plain file/,
      async (folder) => {
        await rename(join(folder, 'model.safetensors'), join(place, 'elsewhere'))
        await symlink(join(place, 'elsewhere'), join(folder, 'model.safetensors'))
      },
    ],
    [
      'a format of the future',
      /format 2 is newer than this version, which reads format 1/,
      (folder) => rewrite(folder, (m) => ({ ...m, format: 2, more: 1 })),
    ],
    [
      'a file twice',
      /names a file twice/,
      (folder) => rewrite(folder, (m) => ({ ...m, files: [file('config.json'), file('config.json')] })),
    ],
    ['no file', /not a manifest/, (folder) => rewrite(folder, (m) => ({ ...m, files: [] }))],
    ['an unknown key', /not a manifest/, (folder) => rewrite(folder, (m) => ({ ...m, extra: 1 }))],
    [
      'no manifest',
      /expected a folder with manifest.json, received none/,
      (folder) => rm(join(folder, 'manifest.json')),
    ],
    ['no JSON', /manifest.json is not JSON/, (folder) => writeFile(join(folder, 'manifest.json'), '{"format":')],
    ['an empty manifest', /manifest.json is not JSON/, (folder) => writeFile(join(folder, 'manifest.json'), '')],
    [
      'a huge manifest',
      /not a plain, small file/,
      (folder) => writeFile(join(folder, 'manifest.json'), ' '.repeat(2 << 20)),
    ],
  ]

  it.each(lies)('finds %s', async (_, message, lie) => {
    await save('step-1', 1)
    await save('step-2', 2)
    await lie(join(place, 'step-2'))
    const error: unknown = await verifyFolder(join(place, 'step-2')).catch((thrown: unknown) => thrown)
    expect(isMergeError(error, 'ERR_CHECKPOINT') && error.message).toMatch(message)
    const found = await latestCheckpoint(place)
    expect(found?.step).toBe(1)
    expect(found?.refused.map((refused) => refused.message)).toEqual([expect.stringMatching(message)])
  })

  it('finds each of many flipped bits', async () => {
    const path = join(place, 'step-1', 'model.safetensors')
    await save('step-1', 1, 'x'.repeat(100))
    for (let bit = 0; bit < 800; bit += 13) {
      const bytes = Buffer.from('x'.repeat(100))
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      await writeFile(path, bytes)
      await expect(verifyFolder(join(place, 'step-1'))).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
    }
  })
})

describe('checkpoints', () => {
  it('the highest step that verifies wins, and what was refused is told', async () => {
    for (const step of [2, 9, 10, 11]) await save(`step-${step}`, step)
    await writeFile(join(place, 'step-11', 'config.json'), '[]')
    await rewrite(join(place, 'step-10'), (manifest) => ({ ...manifest, step: 12 }))
    const found = await latestCheckpoint(place)
    expect(found).toMatchObject({ step: 9, folder: join(place, 'step-9') })
    expect(found?.refused.map((error) => error.message.replace(place, ''))).toEqual([
      expect.stringContaining('config.json is damaged'),
      '/step-10: manifest.json is of another step: expected 10, received 12',
    ])
  })

  it('there may be none', async () => {
    expect(await latestCheckpoint(join(place, 'nowhere'))).toBeUndefined()
  })

  it('there may be none that verifies', async () => {
    expect(await resumableCheckpoint(place)).toBeUndefined()
    for (const step of [1, 2]) {
      await save(`step-${step}`, step)
      await rm(join(place, `step-${step}`, 'config.json'))
    }
    await expect(resumableCheckpoint(place)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT',
      message: expect.stringMatching(/no checkpoint verifies; the newest: .*step-2: config.json is missing/),
    })
  })

  it('rotation counts only those that verify', async () => {
    for (const step of [1, 2, 3, 4]) await save(`step-${step}`, step)
    await truncate(join(place, 'step-4', 'model.safetensors'), 1)
    await rotateCheckpoints(place, 2)
    expect((await readdir(place)).sort()).toEqual(['step-2', 'step-3', 'step-4'])
  })

  it('what a killed save left goes; what it had moved out of its way comes back', async () => {
    await save('model', 1, 'older')
    await save('step-3', 3)
    await rename(join(place, 'model'), join(place, 'model.old-999999999-ab'))
    await mkdir(join(place, 'step-3.old-999999999-ab'))
    await mkdir(join(place, 'step-5.tmp-999999999-ab'))
    await mkdir(join(place, `step-6.tmp-${process.pid}-ab`))
    await mkdir(join(place, `step-7.tmp-${process.ppid}-ab`))
    await sweepLeftovers(place)
    expect((await readdir(place)).sort()).toEqual(['model', 'step-3', `step-7.tmp-${process.ppid}-ab`])
    expect((await verifyFolder(join(place, 'model'))).step).toBe(1)
  })

  it('later checkpoints make room, and stay', async () => {
    for (const step of [1, 2, 3]) await save(`step-${step}`, step)
    await setAsideAfter(place, 2)
    expect((await readdir(place)).sort()).toEqual(['step-1', 'step-2', expect.stringMatching(/^step-3\.aside-/)])
  })
})
