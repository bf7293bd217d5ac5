// Shards: which tensors a Hugging Face checkpoint folder holds, read from the headers of its safetensors files alone.

import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { checkValue } from '../parseConfig.js'
import { checkpointError } from '../savedFolder.js'

/** A tensor of a checkpoint. */
export interface ShardTensor {
  /** Name of the file within the folder. */
  readonly file: string
  /** As safetensors says it: F64, F32, F16 or BF16. */
  readonly dtype: string
  readonly shape: readonly number[]
}

/** What lists the shards of a checkpoint. */
export const indexName = 'model.safetensors.index.json'

const wholeName = 'model.safetensors'
const index = z.looseObject({ weight_map: z.record(z.string(), z.string().regex(/^[^/\\]+$/, 'expected a file name')) })
const header = z.record(
  z.string(),
  z.union([
    z.strictObject({
      dtype: z.string(),
      shape: z.array(z.int().min(0)),
      data_offsets: z.tuple([z.number(), z.number()]),
    }),
    z.record(z.string(), z.string()),
  ]),
)
const maxHeaderBytes = 16 << 20

/**
 * The tensors of a folder: those of `model.safetensors`, those that `model.safetensors.index.json` lists, or those of all
 * its safetensors files, in this order, as transformers has it. Files are checked again when their tensors are read.
 */
export async function readShards(folder: string): Promise<ReadonlyMap<string, ShardTensor>> {
  const names = (await readdir(folder)).sort()
  const isWhole = names.includes(wholeName)
  const listed = !isWhole && names.includes(indexName) ? await readIndex(folder) : undefined
  const all = isWhole ? [wholeName] : names.filter((name) => name.endsWith('.safetensors'))
  const files = listed === undefined ? all : [...new Set(listed.values())].sort()
  if (files.length === 0) throw checkpointError(folder, 'expected a safetensors file, received none')
  const tensors = new Map<string, ShardTensor>()
  for (const file of files) {
    for (const [name, tensor] of await readHeader(folder, file)) {
      if (listed !== undefined && listed.get(name) !== file) continue
      if (tensors.has(name)) throw checkpointError(folder, `${name} is in ${file} and in ${tensors.get(name)?.file}`)
      tensors.set(name, tensor)
    }
  }
  const missing = [...(listed?.keys() ?? [])].find((name) => !tensors.has(name))
  if (missing !== undefined) throw checkpointError(folder, `${listed?.get(missing)} lacks ${missing}`)
  return tensors
}

async function readIndex(folder: string): Promise<Map<string, string>> {
  return new Map(
    Object.entries(parsed(folder, indexName, await readFile(join(folder, indexName), 'utf8'), index).weight_map),
  )
}

async function readHeader(folder: string, file: string): Promise<[string, ShardTensor][]> {
  const handle = await open(join(folder, file), 'r').catch((cause: unknown) => {
    throw checkpointError(folder, `${file} could not be opened`, cause)
  })
  try {
    const length = Buffer.alloc(8)
    const start = await handle.read(length, 0, 8, 0)
    const bytes = Number(length.readBigUInt64LE())
    if (start.bytesRead < 8 || bytes < 2 || bytes > maxHeaderBytes)
      throw checkpointError(folder, `${file} is no safetensors file`)
    const text = Buffer.alloc(bytes)
    const { bytesRead } = await handle.read(text, 0, bytes, 8)
    if (bytesRead !== bytes) throw checkpointError(folder, `${file} is truncated`)
    return Object.entries(parsed(folder, file, text.toString('utf8'), header)).flatMap(([name, tensor]) =>
      'shape' in tensor && Array.isArray(tensor.shape) && typeof tensor.dtype === 'string'
        ? [[name, { file, dtype: tensor.dtype, shape: tensor.shape }]]
        : [],
    )
  } finally {
    await handle.close()
  }
}

function parsed<S extends z.ZodType>(folder: string, file: string, text: string, schema: S): z.output<S> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw checkpointError(folder, `${file} holds no JSON where it should`, cause)
  }
  const result = checkValue(schema, value, '')
  if (result.success) return result.data
  throw checkpointError(folder, `${file} is of another kind: ${result.problems.slice(0, 3).join('; ')}`)
}
