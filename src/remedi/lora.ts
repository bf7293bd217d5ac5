// lora: weights of a model with low-rank updates, from a file without them, and into one.

import type { LoraConfig } from '../config/lora.js'
import type { NativePieces, NativeSession } from '../native.js'

/** Whether a parameter can learn. */
export function isLearned(lora: LoraConfig | undefined, name: string): boolean {
  return lora === undefined || isUpdate(name) || (lora.policy === 'whole' && name.startsWith('policy.'))
}

/** Fills a blank model from a file that lacks its updates, which are drawn. */
export async function beginLora(session: NativeSession, file: string): Promise<void> {
  const parameters = await session.parameters()
  await session.draw(parameters.filter(({ name }) => isUpdate(name)).map(({ name }) => name))
  await session.readPieces(file, wholePieces(parameters))
}

/** Writes a model's weights as those of a model without updates. */
export async function saveMerged(session: NativeSession, file: string): Promise<void> {
  // Vectors are float32 in any model, and a file has one type.
  await session.writePieces(file, wholePieces(await session.parameters()), 'float32')
}

const isUpdate = (name: string): boolean => name.includes('.lora.')

// Every parameter but the updates, under its own name.
function wholePieces(parameters: Awaited<ReturnType<NativeSession['parameters']>>): NativePieces {
  const whole = parameters.filter(({ name }) => !isUpdate(name))
  const names = whole.map(({ name }) => name)
  return {
    tensors: names,
    parameters: names,
    begins: new Int32Array(whole.length),
    rows: Int32Array.from(whole, ({ shape }) => shape[0] ?? 0),
  }
}
