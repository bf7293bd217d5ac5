// OnnxPeer: onnxruntime-node on the encoder that PyTorch exports, for rows of one shape.

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Dtype } from './benchReport.js'
import { missingModules, PeerProcess } from './peerProcess.js'

export const onnxName = 'onnxruntime-node'

/** The package, as the folder that the bench is started in finds it; undefined: it has none. */
function runtimeFolder(): string | undefined {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', onnxName)
    if (existsSync(join(found, 'package.json'))) return found
    if (dirname(folder) === folder) return undefined
  }
}

/** Why it cannot be measured; undefined where it can. */
export function missingOnnx(dtype: Dtype): string | undefined {
  if (dtype !== 'float32') return `it does not compute in ${dtype} on a CPU`
  if (runtimeFolder() === undefined) return 'it is not installed'
  return missingModules(['torch', 'onnx', 'onnxscript'])
}

const exported = z.looseObject({ inputs: z.record(z.string(), z.array(z.number())) })

/** A peer that runs, and the folder of what it reads. */
export class OnnxPeer {
  readonly process: PeerProcess
  readonly #folder: string

  private constructor(process: PeerProcess, folder: string) {
    this.process = process
    this.#folder = folder
  }

  /**
   * Starts it on what encoder.py exports for these rows, with the options of that script; it ends at once where it computes
   * something else. The export has a process of its own, whose memory is nobody's figure.
   */
  static async start(encoder: Readonly<Record<string, unknown>>, drafts: readonly Int32Array[]): Promise<OnnxPeer> {
    const exporter = await PeerProcess.start('encoder.py', encoder)
    const folder = await mkdtemp(join(tmpdir(), 'merge-lm-onnx-'))
    try {
      const { inputs } = exported.parse(await exporter.ask({ rows: drafts.map((draft) => [...draft]), onnx: folder }))
      const options = { runtime: runtimeFolder(), folder, inputs, threads: encoder.threads }
      return new OnnxPeer(await PeerProcess.start('onnx.mjs', options), folder)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    } finally {
      await exporter.dispose()
    }
  }

  async dispose(): Promise<void> {
    await this.process.dispose()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
