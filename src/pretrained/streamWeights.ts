// streamWeights: the weights of a stack of LLaMA blocks, from a checkpoint's files into a blank model, file by file.

import { join } from 'node:path'
import { MergeError } from '../errors.js'
import type { NativePieces, NativeSession } from '../native.js'
import type { WeightPiece } from './layouts.js'
import type { ShardTensor } from './shards.js'

/** Tensors of a checkpoint by the names of our tables; `name` is what the file calls them where it differs. */
export type NamedTensors = ReadonlyMap<string, ShardTensor & { readonly name?: string }>

/** Names without the wrapper's `model.` are those of the inner class. */
export function wrappedNames(tensors: ReadonlyMap<string, ShardTensor>): NamedTensors {
  if ([...tensors.keys()].some((name) => name.startsWith('model.'))) return tensors
  return new Map(
    [...tensors].map(([name, tensor]) => [name === 'lm_head.weight' ? name : `model.${name}`, { ...tensor, name }]),
  )
}

/** What is to be read from where. */
export interface StreamSource {
  readonly folder: string
  readonly tensors: NamedTensors
  readonly pieces: readonly WeightPiece[]
}

/**
 * Fills a blank model; what the checkpoint lacks is drawn from the seed that the model was opened with. At no time is more
 * than a part of a tensor held twice.
 */
export async function readStream(session: NativeSession, { folder, pieces, tensors }: StreamSource): Promise<void> {
  const given = new Map<string, number>()
  for (const { parameter, rows } of pieces) given.set(parameter, (given.get(parameter) ?? 0) + rows)
  const parameters = await session.parameters()
  await session.draw(
    parameters.filter(({ name, shape }) => (given.get(name) ?? 0) < (shape[0] ?? 0)).map(({ name }) => name),
  )
  const byFile = new Map<string, WeightPiece[]>()
  for (const piece of pieces) {
    const file = tensors.get(piece.tensor)?.file ?? ''
    byFile.set(file, [...(byFile.get(file) ?? []), piece])
  }
  for (const [file, list] of byFile) {
    await session.readPieces(join(folder, file), nativePieces(list, tensors)).catch((error: unknown) => {
      if (!(error instanceof MergeError)) throw error
      throw new MergeError(error.code, `${join(folder, file)}: ${error.message}`, { cause: error })
    })
  }
}

/** Pieces as the engine takes them. */
export function nativePieces(pieces: readonly WeightPiece[], tensors?: NamedTensors): NativePieces {
  return {
    tensors: pieces.map(({ tensor }) => tensors?.get(tensor)?.name ?? tensor),
    parameters: pieces.map(({ parameter }) => parameter),
    begins: Int32Array.from(pieces, ({ begin }) => begin),
    rows: Int32Array.from(pieces, ({ rows }) => rows),
  }
}
