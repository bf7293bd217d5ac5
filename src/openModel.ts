// OpenModel: what every family's model is beside its own skills: a session that is open until it is disposed.

import { MergeError } from './errors.js'
import type { NativeSession } from './native.js'
import { writeFolder } from './savedFolder.js'

/** The key of a model's open session; only for this package's own loops. */
export const sessionKey: unique symbol = Symbol('session')

/** A model on a session of the engine. Every method runs off the event loop. */
export abstract class OpenModel {
  readonly #session: NativeSession
  #disposed: Promise<void> | undefined

  protected constructor(session: NativeSession) {
    this.#session = session
  }

  /** @internal Throws `ERR_DISPOSED` once the model was disposed. */
  get [sessionKey](): NativeSession {
    if (this.#disposed !== undefined) throw new MergeError('ERR_DISPOSED', 'model: was disposed before this call')
    return this.#session
  }

  /** Writes the model's files, without a manifest, into a folder that is being written. */
  abstract writeFiles(folder: string): Promise<void>

  /** Writes config.json, tokenizer.json, model.safetensors and manifest.json; the folder exists whole or not at all. */
  async save(folder: string): Promise<void> {
    await writeFolder(folder, { kind: 'model' }, (temporary) => this.writeFiles(temporary))
  }

  /**
   * Bytes this model holds: parameters, gradients, optimizer state, caches, and what inference in bfloat16 multiplies with
   * (preparedBytes). pooledBytes are what all models of the process keep for their next tensors.
   */
  async memory(): Promise<Readonly<Record<string, number>>> {
    return this[sessionKey].memory()
  }

  /** Ends the running call, frees the model, and resolves when both are done. A second call does nothing more. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#session.dispose()
    return this.#disposed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }
}

/** Numbers in the weights of a session's model. */
export async function parameterCountOf(session: Pick<NativeSession, 'parameters'>): Promise<number> {
  const parameters = await session.parameters()
  return parameters.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0)
}

/** The model once `fill` gave it its weights; one that cannot be filled is disposed. */
export async function filled<M extends OpenModel>(
  model: M,
  fill: (session: NativeSession) => Promise<void>,
): Promise<M> {
  try {
    await fill(model[sessionKey])
    return model
  } catch (error) {
    await model.dispose()
    throw error
  }
}
