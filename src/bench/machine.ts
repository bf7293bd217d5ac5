// Machine: where a benchmark ran: processor, versions, commit.

import { spawnSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'
import { startedEngine } from '../session.js'
import { defaultThreads } from '../threads.js'
import { packageVersion } from '../version.js'
import type { BenchReport } from './benchReport.js'

/** The machine as it is now; ask before the first case, since the load counts what ran before. */
export function machine(): BenchReport['machine'] {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: defaultThreads(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
  }
}

/** Versions of this package and of what it runs on; the engine's once a model was opened. */
export function versions(): Record<string, string> {
  const engine = startedEngine()
  return {
    'merge-lm': packageVersion(),
    node: process.version,
    ...(engine === undefined ? {} : { libtorch: engine.libtorch, cpuKernels: engine.cpu }),
  }
}

/** The commit of the clone that this file lies in, with + behind it where tracked files were changed. */
export function commit(): string | null {
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  const git = (...args: string[]): string | undefined => {
    const done = spawnSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return done.status === 0 ? done.stdout.trim() : undefined
  }
  const head = git('rev-parse', 'HEAD')
  // A package that was installed into somebody else's repository is not at their commit.
  if (head === undefined || git('ls-files', '--error-unmatch', '../../package.json') === undefined) return null
  return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}+`
}
