// OwnFolder: a folder that `save` or a training run wrote, as a source of encoder and head: the rest starts afresh.

import { join } from 'node:path'
import { z } from 'zod'
import { type EncoderShape, encoderShape, modelConfig } from '../config.js'
import type { NativeSource } from '../native.js'
import { readJson, verifyFolder } from '../savedFolder.js'
import { readShards } from './shards.js'

const saved = z.looseObject({ family: z.literal('merge'), model: modelConfig })

/** The shape and the plan of a folder of ours. */
export async function ownFolder(
  folder: string,
): Promise<{ shape: EncoderShape; plan: NativeSource[]; longest: number }> {
  await verifyFolder(folder)
  const { model } = await readJson(folder, 'config.json', saved)
  const tensors = await readShards(folder)
  const plan = [...tensors].flatMap(([tensor, { file }]): NativeSource[] => {
    if (!/^(embedding|encoder|head)\./.test(tensor)) return []
    const use = tensor === 'encoder.positions.weight' ? 'cut' : 'whole'
    return [{ target: tensor, file: join(folder, file), tensor, use, rows: 0 }]
  })
  const longest = model.positions === 'absolute' ? model.maxLength + 2 : Number.POSITIVE_INFINITY
  return { shape: encoderShape(model), plan, longest }
}
