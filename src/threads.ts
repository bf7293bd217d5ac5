// defaultThreads: how many threads the engine may use without fighting its neighbours.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { posix } from 'node:path'

/**
 * The processors this process may run on, or fewer where a container's CPU quota allows fewer; at least 1.
 *
 * More threads than that make every step slower, because they wait for each other.
 */
export function defaultThreads(): number {
  return Math.max(1, Math.floor(Math.min(availableParallelism(), cgroupQuota(readText))))
}

/**
 * CPU quota of this process's control group and of all groups above it, in processors (0.5: half of one), or infinity.
 *
 * @internal
 */
export function cgroupQuota(read: (path: string) => string | undefined): number {
  let quota = Number.POSITIVE_INFINITY
  for (const line of (read('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (group === undefined) continue
    const isUnified = controllers === ''
    if (!isUnified && controllers?.split(',').includes('cpu') !== true) continue
    const root = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpu'
    for (let path = group; ; path = posix.dirname(path)) {
      const folder = posix.join(root, path)
      quota = Math.min(quota, isUnified ? unifiedQuota(read, folder) : legacyQuota(read, folder))
      if (path === '/') break
    }
  }
  return quota
}

// cgroup v2, cpu.max: `50000 100000` or `max 100000`, in microseconds.
// https://docs.kernel.org/admin-guide/cgroup-v2.html
function unifiedQuota(read: (path: string) => string | undefined, folder: string): number {
  const [quota, period] = (read(posix.join(folder, 'cpu.max')) ?? '').trim().split(' ').map(Number)
  return share(quota, period)
}

// cgroup v1: -1 is no limit.
function legacyQuota(read: (path: string) => string | undefined, folder: string): number {
  const quota = Number(read(posix.join(folder, 'cpu.cfs_quota_us')) ?? Number.NaN)
  const period = Number(read(posix.join(folder, 'cpu.cfs_period_us')) ?? Number.NaN)
  return share(quota, period)
}

function share(quota: number | undefined, period: number | undefined): number {
  if (quota === undefined || period === undefined) return Number.POSITIVE_INFINITY
  return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
