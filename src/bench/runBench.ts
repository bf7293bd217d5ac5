// runBench: the suites one after the other, and the file that comes of it.

import type { BenchReport, BenchResult, SuiteName } from './benchReport.js'
import { commit, machine, versions } from './machine.js'
import type { BenchSettings } from './suite.js'
import { suiteOf } from './suites.js'

/** What is asked for; each result is told as it comes, with the report so far. */
export interface BenchRun {
  readonly suites: readonly SuiteName[]
  readonly settings: Omit<BenchSettings, 'learnVersions'>
  readonly onResult?: (result: BenchResult, soFar: BenchReport) => void
}

/** Runs the suites in their order. */
export async function runBench({ suites, settings, onResult }: BenchRun): Promise<BenchReport> {
  const results: BenchResult[] = []
  const peers: Record<string, string> = {}
  const learnVersions = (more: Readonly<Record<string, string>>): void => {
    Object.assign(peers, more)
  }
  const begun = { machine: machine(), commit: commit() }
  const report = (): BenchReport => ({
    machine: begun.machine,
    versions: { ...versions(), ...peers },
    commit: begun.commit,
    results: [...results],
  })
  for (const suite of suites) {
    for await (const result of suiteOf[suite]({ ...settings, learnVersions })) {
      results.push(result)
      onResult?.(result, report())
    }
  }
  return report()
}
