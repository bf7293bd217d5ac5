// The golden RemeDi models of test/golden/remedi, laid out as the folders that checkpoints come in.
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'

/** The shapes there are. */
export const remediNames = ['depth12', 'depth12-gqa', 'depth32'] as const
export type RemediName = (typeof remediNames)[number]

const golden = (file: string): string => fileURLToPath(new URL(`../golden/remedi/${file}`, import.meta.url))

/** A tensor of a small file. */
export interface HostTensor {
  readonly shape: readonly number[]
  readonly dtype: string
  readonly bytes: Buffer
}

/** Reads a small safetensors file as a whole. */
export async function readTensors(path: string): Promise<Map<string, HostTensor>> {
  const content = await readFile(path)
  const start = 8 + Number(content.readBigUInt64LE())
  const header = z
    .record(z.string(), z.looseObject({ dtype: z.string(), shape: z.array(z.int()), data_offsets: z.array(z.int()) }))
    .parse(
      Object.fromEntries(
        Object.entries(z.record(z.string(), z.unknown()).parse(JSON.parse(content.toString('utf8', 8, start)))).filter(
          ([name]) => name !== '__metadata__',
        ),
      ),
    )
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [begin = 0, end = 0],
        },
      ]) => [name, { dtype, shape, bytes: content.subarray(start + begin, start + end) }],
    ),
  )
}

/** Writes a safetensors file. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, HostTensor>): Promise<void> {
  let begin = 0
  const header = Object.fromEntries(
    [...tensors].map(([name, { shape, dtype, bytes }]) => {
      const entry = { dtype, shape, data_offsets: [begin, begin + bytes.length] }
      begin += bytes.length
      return [name, entry]
    }),
  )
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  await writeFile(path, Buffer.concat([length, text, ...[...tensors.values()].map(({ bytes }) => bytes)]))
}

/** The weights of a golden model. */
export function readWeights(name: RemediName): Promise<Map<string, HostTensor>> {
  return readTensors(golden(`${name}.safetensors`))
}

/** Its numbers. */
export function floats({ bytes, dtype }: HostTensor): number[] {
  const width = dtype === 'I64' ? 8 : 4
  return Array.from({ length: bytes.length / width }, (_, i) =>
    dtype === 'I64' ? Number(bytes.readBigInt64LE(8 * i)) : bytes.readFloatLE(4 * i),
  )
}

/** What the official code computes. */
export async function readExpected(name: RemediName) {
  const tensors = await readTensors(golden(`${name}.expected.safetensors`))
  return (tensor: string): number[] =>
    floats(tensors.get(tensor) ?? { bytes: Buffer.alloc(0), dtype: 'F32', shape: [] })
}

/** The shape's numbers. */
export async function readShape(name: RemediName): Promise<Record<string, unknown>> {
  return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(golden(`${name}.json`), 'utf8')))
}

/** A folder in Hugging Face layout, removed by `dispose`. `change` may rewrite its config.json, `weights` its tensors. */
export async function checkpointFolder(
  name: RemediName,
  change: (config: Record<string, unknown>) => Record<string, unknown> = (config) => config,
  weights?: (tensors: Map<string, HostTensor>) => ReadonlyMap<string, HostTensor>,
) {
  const folder = await mkdtemp(join(tmpdir(), 'merge-lm-remedi-'))
  const path = join(folder, name)
  await mkdir(path)
  if (weights === undefined) await copyFile(golden(`${name}.safetensors`), join(path, 'model.safetensors'))
  else await writeTensors(join(path, 'model.safetensors'), weights(await readWeights(name)))
  await writeFile(join(path, 'config.json'), JSON.stringify(change(await readShape(name))))
  return { path, folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
