// tensorFiles: which tensor of a folder lies in which safetensors file: one file, or shards with an index.

import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { checkpointError, errnoOf } from '../savedFolder.js'

/** Where a tensor lies, by its name. */
export type TensorFiles = ReadonlyMap<string, string>

// As the engine's own reader has it, which checks everything else about a file.
const maxHeaderBytes = 16 << 20
const maxIndexBytes = 64 << 20
const header = z.record(z.string(), z.unknown())
const index = z.looseObject({ weight_map: z.record(z.string(), z.string().regex(/^[\w.-]+\.safetensors$/)) })

/** The tensors of `model.safetensors`, or of the files that `model.safetensors.index.json` names. */
export async function tensorFiles(folder: string): Promise<TensorFiles> {
  const whole = join(folder, 'model.safetensors')
  const names = await tensorNames(folder, whole)
  if (names !== undefined) return new Map(names.map((name) => [name, whole]))
  const path = join(folder, 'model.safetensors.index.json')
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw checkpointError(folder, 'expected model.safetensors or model.safetensors.index.json, received neither', cause)
  })
  const parsed = text.length > maxIndexBytes ? undefined : index.safeParse(json(text))
  if (parsed?.success !== true) {
    throw checkpointError(
      folder,
      'model.safetensors.index.json: expected the files of tensors by name, received other content',
    )
  }
  return new Map(Object.entries(parsed.data.weight_map).map(([name, file]) => [name, join(folder, file)]))
}

/** Names in a file's header; `undefined` where there is no such file. */
async function tensorNames(folder: string, path: string): Promise<string[] | undefined> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return undefined
    throw checkpointError(folder, 'model.safetensors could not be read', cause)
  })
  if (file === undefined) return undefined
  try {
    const length = Buffer.alloc(8)
    const { bytesRead } = await file.read(length, 0, 8, 0)
    const bytes = length.readBigUInt64LE()
    const text = bytesRead < 8 || bytes > maxHeaderBytes ? undefined : Buffer.alloc(Number(bytes))
    if (text !== undefined) await file.read(text, 0, text.length, 8)
    const parsed = header.safeParse(text === undefined ? undefined : json(text.toString('utf8')))
    if (parsed.success) return Object.keys(parsed.data).filter((name) => name !== '__metadata__')
    throw checkpointError(folder, 'model.safetensors: expected a safetensors file, received other content')
  } finally {
    await file.close()
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
