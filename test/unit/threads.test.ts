// defaultThreads and the CPU quotas of both generations of control groups.
import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { cgroupQuota, defaultThreads } from '../../src/threads.js'

const files = (content: Readonly<Record<string, string>>) => (path: string) => content[path]

describe('cgroupQuota', () => {
  it('is infinite without files or without a limit', () => {
    expect(cgroupQuota(files({}))).toBe(Number.POSITIVE_INFINITY)
    const unlimited = files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' })
    expect(cgroupQuota(unlimited)).toBe(Number.POSITIVE_INFINITY)
  })

  it('takes the tightest of the group and the groups above it', () => {
    const read = files({
      '/proc/self/cgroup': '0::/kubepods/pod1/box\n',
      '/sys/fs/cgroup/kubepods/pod1/box/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/kubepods/pod1/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/kubepods/cpu.max': '800000 100000\n',
    })
    expect(cgroupQuota(read)).toBe(1.5)
  })

  it('reads the older layout, where -1 is no limit', () => {
    const group = '5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n'
    const quota = (text: string) =>
      files({
        '/proc/self/cgroup': group,
        '/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us': text,
        '/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us': '100000\n',
      })
    expect(cgroupQuota(quota('50000\n'))).toBe(0.5)
    expect(cgroupQuota(quota('-1\n'))).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('defaultThreads', () => {
  it('is a whole number between 1 and the processors of this process', () => {
    const threads = defaultThreads()
    expect(Number.isInteger(threads)).toBe(true)
    expect(threads).toBeGreaterThanOrEqual(1)
    expect(threads).toBeLessThanOrEqual(availableParallelism())
  })
})
