// TrainerState: trainer.json, what a checkpoint knows beside weights and moments, and whether a run can go on to the bit.

import { z } from 'zod'
import type { ModelConfig } from '../config.js'
import { checkpointError, type Manifest, readJson } from '../savedFolder.js'
import { startedEngine } from '../session.js'
import { packageVersion } from '../version.js'
import { bestSoFar } from './best.js'

/** Name of the file in a checkpoint. */
export const stateName = 'trainer.json'
/** Name of the file with the optimizer's moments and step counts. */
export const optimizerName = 'optimizer.safetensors'
const format = 2

const count = z.int().min(0)
const unknown = z.null()

const exactness = z.strictObject({
  version: z.string(),
  libtorch: z.string().or(unknown),
  cpu: z.string().or(unknown),
  threads: z.int().min(1).or(unknown),
  device: z.string(),
  dtype: z.string(),
  matmulPrecision: z.string(),
})

const stateSchema = z.strictObject({
  format: z.literal(format),
  position: z.strictObject({ step: count, epoch: count, pool: count, batch: count, dropped: count }),
  seconds: z.number().min(0),
  exactness,
  // The model's own schema reads it.
  recipe: z.record(z.string(), z.unknown()),
  best: bestSoFar.optional(),
})

type Placed = Pick<ModelConfig, 'device' | 'dtype' | 'matmulPrecision'>

/** What decides the bits of a step beside weights, data and recipe. */
export type Exactness = Readonly<z.output<typeof exactness>>
/** What trainer.json says. */
export type TrainerState = Readonly<z.output<typeof stateSchema>>

/** What trainer.json will say. */
export function stateOf(
  state: Pick<TrainerState, 'position' | 'seconds' | 'recipe' | 'best'>,
  config: Placed,
): TrainerState {
  return { format, ...state, exactness: exactnessOf(config) }
}

/** The state of a checkpoint that verified. */
export async function readState(folder: string, manifest: Manifest): Promise<TrainerState> {
  for (const name of [stateName, optimizerName]) {
    if (!manifest.files.some((file) => file.name === name))
      throw checkpointError(folder, `expected a checkpoint of a run, received a ${manifest.kind} without ${name}`)
  }
  const state = await readJson(folder, stateName, stateSchema)
  if (state.position.step === manifest.step) return state
  throw checkpointError(
    folder,
    `${stateName} is of another step: expected ${manifest.step}, received ${state.position.step}`,
  )
}

/** What decides the bits of this process's steps. */
export function exactnessOf({ device, dtype, matmulPrecision }: Placed): Exactness {
  const { libtorch = null, cpu = null, threads = null } = startedEngine() ?? {}
  return { version: packageVersion(), libtorch, cpu, threads, device, dtype, matmulPrecision }
}

/** A sentence for each thing that would change the bits; none: the run goes on as if it had never stopped. */
export function differences(
  saved: Exactness,
  now: { readonly [Name in keyof Exactness]?: Exactness[Name] | undefined },
): string[] {
  const expected = new Map<string, string | number | null>(Object.entries(saved))
  return Object.entries(now).flatMap(([name, value]) =>
    value === undefined || value === expected.get(name)
      ? []
      : [`${name}: expected ${expected.get(name)}, as in the checkpoint, received ${value}`],
  )
}
