// doctor: what merge-lm found on this machine, what is missing, and how to mend it.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { type Machine, NEWEST, OLDEST, PINNED, realMachine, searchLibtorch } from '../../scripts/libtorch.mjs'
import { inspectTools } from '../../scripts/toolchain.mjs'
import { isMergeError } from '../errors.js'
import { builtLibtorch, chooseLibtorch, releaseFolder } from '../libtorch.js'

/** One thing that was looked at. */
export interface DoctorCheck {
  readonly name: string
  /** `ok`; `note` is worth knowing and stops nothing; `fail` keeps merge-lm from building or running. */
  readonly status: 'ok' | 'note' | 'fail'
  readonly found: string
  /** What to do about it. */
  readonly mend?: string
}

/** What {@link doctor} found. */
export interface DoctorReport {
  /** True if nothing failed. */
  readonly healthy: boolean
  readonly checks: readonly DoctorCheck[]
}

/** Looks at Node, platform, build tools, libtorch, the native addon and the hardware. Changes and fetches nothing. */
export async function doctor(machine: Machine = realMachine()): Promise<DoctorReport> {
  const addon = checkAddon(machine)
  const isBuilt = addon.status === 'ok'
  const checks = [
    checkNode(process.versions.node),
    checkPlatform(machine.platform),
    ...checkTools(machine, isBuilt),
    ...checkLibtorch(machine, isBuilt),
    addon,
    checkThreads(machine),
    checkCpu(),
    checkMemory(),
  ]
  return { healthy: checks.every(({ status }) => status !== 'fail'), checks }
}

/** The report as text for a terminal, one line a check. */
export function renderDoctor(report: DoctorReport): string {
  const width = Math.max(...report.checks.map(({ name }) => name.length))
  const lines = report.checks.flatMap(({ name, status, found, mend }) => {
    const line = `${status.padEnd(4)}  ${name.padEnd(width)}  ${found}`
    return mend === undefined ? [line] : [line, `${' '.repeat(width + 8)}-> ${mend}`]
  })
  const failed = report.checks.filter(({ status }) => status === 'fail').length
  lines.push('', failed === 0 ? 'merge-lm can run here.' : `${failed} of ${report.checks.length} checks failed.`)
  return lines.join('\n')
}

function checkNode(version: string): DoctorCheck {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 17)) return { name: 'Node.js', status: 'ok', found: version }
  return { name: 'Node.js', status: 'fail', found: version, mend: 'install Node.js 20.17 or newer' }
}

function checkPlatform(platform: string): DoctorCheck {
  const name = 'Platform'
  const glibc = glibcVersion()
  const found = `${platform}, ${glibc === undefined ? 'no glibc' : `glibc ${glibc}`}`
  if (platform !== 'linux-x64') return { name, status: 'fail', found, mend: 'merge-lm runs on Linux x64 so far' }
  const [major = 0, minor = 0] = (glibc ?? '0').split('.').map(Number)
  const isNewEnough = major > 2 || (major === 2 && minor >= 28)
  return isNewEnough
    ? { name, status: 'ok', found }
    : { name, status: 'fail', found, mend: 'libtorch needs glibc 2.28 or newer; musl (Alpine) does not do' }
}

function glibcVersion(): string | undefined {
  const report: unknown = process.report.getReport()
  if (typeof report !== 'object' || report === null || !('header' in report)) return undefined
  const { header } = report
  if (typeof header !== 'object' || header === null || !('glibcVersionRuntime' in header)) return undefined
  return typeof header.glibcVersionRuntime === 'string' ? header.glibcVersionRuntime : undefined
}

// A missing tool matters only for a build; a machine where the addon loads can do without.
function checkTools(machine: Machine, isBuilt: boolean): DoctorCheck[] {
  return inspectTools(machine).map(({ name, needed, version, problem, mend }) => {
    if (problem === undefined) return { name, status: 'ok', found: version ?? 'found' }
    const status = needed && !isBuilt ? 'fail' : 'note'
    return { name, status, found: problem, ...(mend === undefined ? {} : { mend }) }
  })
}

function checkLibtorch(machine: Machine, isBuilt: boolean): DoctorCheck[] {
  const candidates = searchLibtorch(machine)
  const last = candidates.at(-1)
  const isFound = last !== undefined && last.problem === undefined
  return candidates.map((candidate) => {
    const { how, root, version, kind, problem } = candidate
    const name = 'libtorch'
    const place = root === undefined ? how : `${how} ${root}`
    if (problem === undefined) return { name, status: 'ok', found: `${version} (${kind}) from ${place}` }
    const found = `${place}: ${problem}`
    if (candidate !== last || isFound) return { name, status: 'note', found }
    if (how === 'MERGE_LM_LIBTORCH') {
      const mend = `name a folder with include/ and lib/ of libtorch ${OLDEST} to ${NEWEST}, or unset MERGE_LM_LIBTORCH`
      return { name, status: 'fail', found, mend }
    }
    const mend = `npm run build fetches ${PINNED}; without a network set MERGE_LM_LIBTORCH to a libtorch ${OLDEST} to ${NEWEST}`
    return { name, status: isBuilt ? 'note' : 'fail', found, mend }
  })
}

// In a process of its own: a library that crashes while it loads must not take the report along.
function checkAddon(machine: Machine): DoctorCheck {
  const name = 'Native addon'
  const build = 'npm run build'
  const missing = ['loader.node', 'core.node'].filter((file) => !existsSync(join(releaseFolder, file)))
  if (missing.length > 0) return { name, status: 'fail', found: `${missing.join(' and ')} not built`, mend: build }
  try {
    const { root, version, how } = chooseLibtorch(builtLibtorch(), machine.env.MERGE_LM_LIBTORCH)
    const script =
      'const [release, library] = process.argv.slice(1)\n' +
      'require(release + "loader.node").open(library); require(release + "core.node")'
    const args = ['-e', script, releaseFolder, join(root, 'lib', 'libtorch.so')]
    const done = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
    if (done.status === 0) return { name, status: 'ok', found: `loads with libtorch ${version} (${how})` }
    const reason =
      done.stderr.split('\n').find((line) => /Error/.test(line)) ?? `ended with ${done.signal ?? done.status}`
    return { name, status: 'fail', found: `does not load: ${reason}`, mend: build }
  } catch (error) {
    const isOverride = isMergeError(error, 'ERR_CONFIG')
    const mend = isOverride ? 'name another libtorch with MERGE_LM_LIBTORCH, or unset it' : build
    return { name, status: 'fail', found: error instanceof Error ? error.message : String(error), mend }
  }
}

function checkThreads(machine: Machine): DoctorCheck {
  const { OMP_NUM_THREADS, OMP_WAIT_POLICY } = machine.env
  const cores = availableParallelism()
  const found = `${cores} ${cores === 1 ? 'core' : 'cores'}`
  const set = [
    OMP_NUM_THREADS === undefined ? undefined : `OMP_NUM_THREADS=${OMP_NUM_THREADS}`,
    OMP_WAIT_POLICY === undefined ? undefined : `OMP_WAIT_POLICY=${OMP_WAIT_POLICY}`,
  ].filter((text) => text !== undefined)
  return { name: 'Threads', status: 'ok', found: [found, ...set].join(', ') }
}

function checkCpu(): DoctorCheck {
  const name = 'CPU'
  const text = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''
  const model = /^model name\s*:\s*(.*)$/m.exec(text)?.[1] ?? 'unknown'
  const flags = new Set(/^flags\s*:\s*(.*)$/m.exec(text)?.[1]?.split(' '))
  const wanted = ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'].filter((flag) => flags.has(flag))
  const found = `${model}; ${wanted.length === 0 ? 'no AVX2' : wanted.join(', ')}`
  if (!flags.has('avx2')) return { name, status: 'note', found, mend: 'works, but slowly: libtorch is made for AVX2' }
  return { name, status: 'ok', found }
}

function checkMemory(): DoctorCheck {
  const name = 'Memory'
  const limit = process.constrainedMemory()
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`
  const found = `${gib(total)}, free ${gib(Math.min(freemem(), total))}`
  if (total >= 3 * 2 ** 30) return { name, status: 'ok', found }
  return { name, status: 'note', found, mend: 'compiling takes up to 1.5 GiB a job and training 1 GiB: 3 GiB are safe' }
}
