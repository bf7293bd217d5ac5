// Turns: calls of several contenders one after the other, again and again, so that what else the machine does hits all.

import { peakResidentMb, resetPeak, residentMb } from './residentMemory.js'

/** What one call did. */
export interface Work {
  /** Tokens of its drafts, or that it wrote. */
  readonly tokens: number
  /** Mean of its rows. */
  readonly rounds?: number
  /** Mean of its rows. */
  readonly passes?: number
  /** Seconds as the contender itself counts them: a peer has no part in what the pipe between us costs. */
  readonly seconds?: number
  /** MiB, where the contender is another process. */
  readonly peakMemoryMb?: number
}

/** Something to be timed. */
export interface Contender {
  readonly name: string
  run(): Promise<Work>
  /** MiB that its model holds. */
  heldMb?(): Promise<number>
  /** Where the time of a call goes; of those that run in the engine. */
  shares?(run: () => Promise<unknown>): Promise<Readonly<Record<string, number>>>
}

/** What a contender's calls took. */
export interface Taken<C extends Contender> {
  readonly contender: C
  readonly work: Work
  /** Milliseconds of each call, without the first, which warms up. */
  readonly times: readonly number[]
  readonly peakMemoryMb: number | null
  readonly shares: Readonly<Record<string, number>>
}

/** How long to go on. */
export interface TurnOptions {
  /** Calls of each contender that count. */
  readonly samples: number
  /** No new turn after so many seconds; at least two calls count. */
  readonly seconds: number
  readonly signal: AbortSignal
  readonly now?: () => number
}

const leastSamples = 2

/** Runs the contenders in turns; every other turn goes backwards, so that none always follows the same one. */
export async function inTurns<C extends Contender>(
  contenders: readonly C[],
  { samples, seconds, signal, now = () => performance.now() }: TurnOptions,
): Promise<Taken<C>[]> {
  const entries: (Taken<C> & { times: number[] })[] = []
  for (const contender of contenders) {
    signal.throwIfAborted()
    const before = residentMb()
    resetPeak()
    const work = await contender.run()
    const peak = peakResidentMb()
    const grown = before === null || peak === null ? null : Math.max(0, peak - before)
    const held = (await contender.heldMb?.()) ?? null
    const own = grown === null || held === null ? null : held + grown
    entries.push({ contender, work, times: [], peakMemoryMb: work.peakMemoryMb ?? own, shares: {} })
  }
  const end = now() + 1000 * seconds
  for (let turn = 0; turn < samples && (turn < leastSamples || now() < end); turn++) {
    for (const entry of turn % 2 === 0 ? entries : entries.toReversed()) {
      signal.throwIfAborted()
      const start = now()
      const work = await entry.contender.run()
      entry.times.push(work.seconds === undefined ? now() - start : 1000 * work.seconds)
    }
  }
  const taken: Taken<C>[] = []
  for (const entry of entries) {
    const { contender } = entry
    taken.push({ ...entry, shares: (await contender.shares?.(() => contender.run())) ?? {} })
  }
  return taken
}
