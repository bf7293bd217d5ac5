// Session: starts the engine of this process, and opens models on it.

import { z } from 'zod'
import { loadNative, type NativeRecord, type NativeSession } from './native.js'
import { parseConfig } from './parseConfig.js'
import { defaultThreads } from './threads.js'

/** The engine of this process: what decides the bits of a step beside the model, its data and its device. */
export interface StartedEngine {
  /** Threads of the compute thread's team: one number for the whole process, which the first model chooses. */
  readonly threads: number
  readonly libtorch: string
  /** Instruction set of its CPU kernels. */
  readonly cpu: string
}

let started: StartedEngine | undefined

/** The engine of this process; `undefined` before the first model. */
export function startedEngine(): StartedEngine | undefined {
  return started
}

/** How a model begins. */
export interface SessionStart {
  readonly seed: number
  readonly threads: number | undefined
}

/** Opens a model on the engine, which the first one starts. `recordOf` makes its record from the checked seed. */
export async function openSession(
  start: SessionStart,
  recordOf: (seed: number) => NativeRecord,
): Promise<NativeSession> {
  const { seed, threads } = parseConfig(startConfig, start, '')
  const team = threads ?? started?.threads ?? defaultThreads()
  const native = await loadNative()
  await native.start(team)
  const { libtorchVersion, cpuCapability } = await native.info()
  started = { threads: team, libtorch: String(libtorchVersion), cpu: String(cpuCapability) }
  return native.open(recordOf(seed))
}

const startConfig = z.strictObject({
  seed: z.int('expected a whole number >= 0').min(0, 'expected a whole number >= 0'),
  threads: z
    .int('expected a whole number 1..1024')
    .min(1, 'expected a whole number 1..1024')
    .max(1024, 'expected a whole number 1..1024')
    .optional(),
})
