// BenchReport: what a benchmark writes: where it ran, and one result for each thing it measured.

import { z } from 'zod'

/** The suites, in the order they run. */
export const suites = ['ops', 'training', 'inference', 'quality'] as const
export type SuiteName = (typeof suites)[number]

/** Shapes of a model: `small` is the quickstart's, `reference` has 12 layers of 768 and 32,768 words. */
export const sizeNames = ['small', 'reference'] as const
export type SizeName = (typeof sizeNames)[number]

const measured = z.number().nullable()

/** One thing that was measured. `null`: it has no such number, or, of a peer, the peer is missing. */
export const benchResult = z.strictObject({
  suite: z.enum(suites),
  case: z.string().describe('what was done, with its lengths and its number of rounds; of a missing peer, why'),
  family: z.string().describe('the kind of model, or the op'),
  size: z.enum(sizeNames),
  batch: z.int().nullable().describe('rows of a call'),
  dtype: z.enum(['float32', 'bfloat16']).nullable().describe('compute type'),
  threads: z.int().nullable().describe('threads of the engine, or of the peer'),
  tokensPerSecond: measured.describe('tokens of a call by the median of its times'),
  latencyMs: measured.describe('median time of a call, milliseconds'),
  rounds: measured.describe('mean rounds of a row; of MERGE, LevT and MaskGIT'),
  passes: measured.describe('mean passes of the network for a row; with a cache a pass reads what is new alone'),
  peakMemoryMb: measured.describe(
    'what the model holds and what the first call took on top of it, MiB; of a peer, all of its process',
  ),
  spread: z
    .strictObject({ low: z.number(), high: z.number(), samples: z.int() })
    .nullable()
    .describe('quartiles of latencyMs, and how many calls they are of'),
  peer: z.string().nullable().describe("another program's name; null: this package"),
  figures: z
    .record(z.string(), measured)
    .optional()
    .describe('what only this suite measures: shares (0..1) of the quality suite, ratios of ops and pairs'),
})

/** The file of `merge-lm bench --json`. */
export const benchReport = z.strictObject({
  machine: z.strictObject({
    processor: z.string(),
    cores: z.int().describe('that the process may use'),
    memoryGb: z.number(),
    system: z.string(),
    load: z.number().describe('mean number of running processes in the minute before: above 0.2, others ran beside it'),
  }),
  versions: z.record(z.string(), z.string()).describe('of merge-lm, node, libtorch, and of what the peers run on'),
  commit: z
    .string()
    .nullable()
    .describe('of the clone, with + behind it where files were changed; null outside of one'),
  results: z.array(benchResult),
})

export type BenchResult = Readonly<z.output<typeof benchResult>>
export type BenchReport = Readonly<z.output<typeof benchReport>>
export type Dtype = NonNullable<BenchResult['dtype']>

/** A result with `null` for what it does not say. */
export function resultOf(
  known: Pick<BenchResult, 'suite' | 'case' | 'family' | 'size'> & Partial<BenchResult>,
): BenchResult {
  const { suite, case: name, family, size, figures } = known
  return {
    suite,
    case: name,
    family,
    size,
    batch: known.batch ?? null,
    dtype: known.dtype ?? null,
    threads: known.threads ?? null,
    tokensPerSecond: known.tokensPerSecond ?? null,
    latencyMs: known.latencyMs ?? null,
    rounds: known.rounds ?? null,
    passes: known.passes ?? null,
    peakMemoryMb: known.peakMemoryMb ?? null,
    spread: known.spread ?? null,
    peer: known.peer ?? null,
    ...(figures === undefined ? {} : { figures }),
  }
}
