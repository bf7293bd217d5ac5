// Files of weights that are well formed but wrong for the model: refused with a reason, and the model stays as it was.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { loadNative, type NativeRecord, type NativeSession } from '../../src/native.js'
import { packRows } from '../../src/rows.js'
import { type Golden, goldenPath, openGolden } from './golden.js'

interface Tensor {
  dtype: string
  shape: number[]
  bytes: Buffer
}
type Tensors = Map<string, Tensor>

let folder: string
let session: NativeSession
let golden: Golden

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'merge-lm-checkpoint-'))
  const opened = await openGolden('usual')
  session = opened.session
  golden = opened.golden
})
afterAll(async () => {
  await session.dispose()
  await rm(folder, { recursive: true })
})

const headerSchema = z.record(
  z.string(),
  z.looseObject({ dtype: z.string(), shape: z.array(z.int()), data_offsets: z.tuple([z.int(), z.int()]) }),
)

async function readTensors(path: string): Promise<Tensors> {
  const file = await readFile(path)
  const start = 8 + Number(file.readBigUInt64LE(0))
  const { __metadata__: _, ...header } = z
    .record(z.string(), z.unknown())
    .parse(JSON.parse(file.toString('utf8', 8, start)))
  return new Map(
    Object.entries(headerSchema.parse(header)).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin, end],
        },
      ]) => [name, { dtype, shape, bytes: file.subarray(start + begin, start + end) }],
    ),
  )
}

async function writeTensors(name: string, tensors: Tensors): Promise<string> {
  let begin = 0
  const fields = [...tensors].map(([key, { dtype, shape, bytes }]) => {
    const range = [begin, begin + bytes.length]
    begin += bytes.length
    return [key, { dtype, shape, data_offsets: range }]
  })
  const header = Buffer.from(JSON.stringify(Object.fromEntries(fields)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const path = join(folder, `${name}.safetensors`)
  await writeFile(path, Buffer.concat([length, header, ...[...tensors.values()].map(({ bytes }) => bytes)]))
  return path
}

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer)
const inner = async () => (await session.inspect(packRows(golden.rows), ['logits', 'keep', 'gate', 'counts'])) ?? {}

it.each<[string, (tensors: Tensors) => void, string]>([
  ['a tensor missing', (all) => all.delete('gate.linear.bias'), '"gate.linear.bias": the file lacks this tensor'],
  [
    'one too many',
    (all) => all.set('head.weight', { dtype: 'F32', shape: [1], bytes: floats(1) }),
    '"head.weight": this model has no such tensor',
  ],
  [
    'another shape',
    (all) => all.set('gate.linear.bias', { dtype: 'F32', shape: [2], bytes: floats(1, 2) }),
    '"gate.linear.bias": expected shape [1], received [2]',
  ],
  [
    'another rank',
    (all) => all.set('gate.linear.bias', { dtype: 'F32', shape: [], bytes: floats(1) }),
    '"gate.linear.bias": expected shape [1], received []',
  ],
  [
    'whole numbers',
    (all) => all.set('gate.linear.bias', { dtype: 'I32', shape: [1], bytes: floats(1) }),
    '"gate.linear.bias": expected a floating-point dtype, received I32',
  ],
  [
    'NaN',
    (all) => all.set('inserter.bias', { dtype: 'F32', shape: [6], bytes: floats(1, 2, NaN, 4, 5, 6) }),
    '"inserter.bias": expected finite values, received NaN or infinity',
  ],
  [
    'infinity',
    (all) => all.set('inserter.bias', { dtype: 'F32', shape: [6], bytes: floats(1, 2, 3, 4, 5, -Infinity) }),
    '"inserter.bias": expected finite values, received NaN or infinity',
  ],
])('refuses %s', async (name, damage, message) => {
  const before = await inner()
  const tensors = await readTensors(goldenPath('usual', 'safetensors'))
  // Every other tensor differs from the model's own: a load that stopped halfway would show.
  for (const tensor of tensors.values()) tensor.bytes = Buffer.alloc(tensor.bytes.length)
  damage(tensors)
  const path = await writeTensors(name, tensors)
  await expect(session.load(path, 'model')).rejects.toMatchObject({ code: 'ERR_CHECKPOINT', message })
  expect(await inner()).toEqual(before)
})

it('accepts the same values in float64, in any order, and is the same to the bit', async () => {
  const tensors = [...(await readTensors(goldenPath('usual', 'safetensors')))].map(([name, { shape, bytes }]) => {
    const values = Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
    return [name, { dtype: 'F64', shape, bytes: Buffer.from(values.buffer) }] as const
  })
  const before = await inner()
  await session.load(await writeTensors('wide', new Map(tensors.reverse())), 'model')
  expect(await inner()).toEqual(before)
})

it('writes what it read, to the bit', async () => {
  const path = join(folder, 'saved.safetensors')
  await session.save(path, 'model')
  const [saved, given] = [await readTensors(path), await readTensors(goldenPath('usual', 'safetensors'))]
  expect([...saved.keys()].sort()).toEqual([...given.keys()].sort())
  for (const [name, { shape, bytes }] of saved) expect({ shape, bytes }, name).toMatchObject(pick(given.get(name)))
  await expect(session.save(path, 'model')).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' })
})

it.each<[string, NativeRecord]>([
  ['no layer', { layers: 0 }],
  ['a negative width', { width: -16 }],
  ['too many heads', { heads: 2 ** 31 }],
  ['heads that do not divide the width', { heads: 3 }],
  ['heads of odd width', { heads: 16 }],
  ['half a layer', { layers: 1.5 }],
  ['NaN', { feedForward: NaN }],
  ['a mask outside the vocabulary', { mask: 29 }],
  ['a negative sentinel', { bos: -1 }],
  ['another deleter', { deleter: 'lstm' }],
  ['another dtype', { dtype: 'int8' }],
  ['a word for a number', { maxInsert: 'many' }],
])('opens no model with %s', async (_, changed) => {
  const native = await loadNative()
  await expect(native.open({ ...golden.config, ...changed })).rejects.toMatchObject({ code: 'ERR_CONFIG' })
})

function pick(tensor: Tensor | undefined) {
  return tensor === undefined ? {} : { shape: tensor.shape, bytes: tensor.bytes }
}
