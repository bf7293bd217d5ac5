// Finds or fetches the libtorch that merge-lm builds against: one ordered search, one version gate, one printed choice.
// Used by scripts/build.mjs (search and fetch) and by src/libtorch.ts (inspection at run time).
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The version that is fetched when nothing suitable is there. */
export const PINNED = '2.13.0'
/** Supported minors of major version 2, both ends included. */
export const OLDEST = '2.11'
export const NEWEST = '2.14'

/** A set-up that cannot work: one readable message, exit code 2. */
export class SetupError extends Error {
  name = 'SetupError'
  exitCode = 2
}

/** Everything the search touches of the machine, so that tests can hand in another one. */
export function realMachine() {
  return {
    env: process.env,
    home: homedir(),
    platform: `${process.platform}-${process.arch}`,
    say: (line) => process.stdout.write(`${line}\n`),
    run: (command, args, options = {}) => {
      const shown = options.shown === true
      const stdio = shown ? ['ignore', 'inherit', 'pipe'] : ['ignore', 'pipe', 'pipe']
      const done = spawnSync(command, args, { encoding: 'utf8', cwd: '/', stdio, maxBuffer: 64 << 20 })
      return { ok: done.status === 0, stdout: done.stdout ?? '', stderr: done.error?.message ?? done.stderr ?? '' }
    },
  }
}

/** Where fetched versions live: one folder per version, laid out like site-packages (torch/ beside nvidia/). */
export function cacheFolder(machine) {
  const base = machine.env.XDG_CACHE_HOME || join(machine.home, '.cache')
  return join(base, 'merge-lm', 'libtorch')
}

/** Says what a folder holds: its version and kind, or in `problem` why it cannot be used. */
export function inspectLibtorch(folder) {
  const root = resolve(folder)
  if (!existsSync(root)) return { root, problem: 'no such folder' }
  const missing = ['include', 'lib/libtorch.so', 'lib/libtorch_cpu.so', 'lib/libc10.so'].filter(
    (part) => !existsSync(join(root, part)),
  )
  if (missing.length > 0) return { root, problem: `lacks ${missing.join(', ')}` }
  const version = headerVersion(root)
  if (version === undefined) return { root, problem: 'its headers carry no version (torch/version.h)' }
  const kind = existsSync(join(root, 'lib/libtorch_cuda.so')) ? 'cuda' : 'cpu'
  const found = { root, version, kind }
  const python = pythonVersion(root)
  if (python !== undefined && python !== version) {
    return { ...found, problem: `headers say ${version}, torch/version.py says ${python}: two installations mixed` }
  }
  return isSupported(version) ? found : { ...found, problem: `version ${version} is outside ${OLDEST} to ${NEWEST}` }
}

/** Whether a version such as `2.13.0+cpu` passes the gate. */
export function isSupported(version) {
  const [major, minor] = version.split('.').map(Number)
  return major === 2 && minor >= minorOf(OLDEST) && minor <= minorOf(NEWEST)
}

/**
 * Walks the search order and returns every candidate with its verdict; the last one is the choice if it has no problem.
 * Fetches nothing.
 */
export function searchLibtorch(machine) {
  const candidates = []
  // 1) the user's word is final: a bad MERGE_LM_LIBTORCH is an error, never skipped
  const named = machine.env.MERGE_LM_LIBTORCH
  if (named) return [{ how: 'MERGE_LM_LIBTORCH', ...inspectLibtorch(named) }]
  candidates.push({ how: 'MERGE_LM_LIBTORCH', problem: 'not set' })
  // 2) torch in the active Python
  candidates.push({ how: 'active Python', ...inspectPython(machine) })
  if (candidates.at(-1).problem === undefined) return candidates
  // 3) the package's own cache
  candidates.push(...inspectCache(machine))
  return candidates
}

/** Finds a libtorch, fetching one if need be, prints what was chosen and why, and returns it. Throws SetupError. */
export function findLibtorch(machine) {
  if (machine.platform !== 'linux-x64') {
    throw new SetupError(
      `libtorch: expected linux-x64, received ${machine.platform}: no other platform is supported yet.`,
    )
  }
  const candidates = searchLibtorch(machine)
  const last = candidates.at(-1)
  if (last.how === 'MERGE_LM_LIBTORCH' && last.problem !== undefined) {
    throw new SetupError(
      `MERGE_LM_LIBTORCH: expected a libtorch ${OLDEST} to ${NEWEST} (a folder with include/ and lib/), ` +
        `received ${last.root}: ${last.problem}.`,
    )
  }
  const found = last.problem === undefined ? last : fetchLibtorch(machine, candidates)
  machine.say(`libtorch ${found.version} (${found.kind}) from ${found.how}: ${found.root}`)
  for (const { how, root, problem } of candidates) {
    if (problem !== undefined) machine.say(`  passed over ${how}${root === undefined ? '' : ` ${root}`}: ${problem}`)
  }
  return { root: found.root, version: found.version, kind: found.kind, how: found.how }
}

// 4) pip, then 5) the official archive; each into a temporary folder that is renamed only when it is complete
function fetchLibtorch(machine, candidates) {
  const cache = cacheFolder(machine)
  const python = pythonCommand(machine)
  if (!machine.run(python, ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']).ok) {
    candidates.push({ how: 'pip', problem: `${python} (3.8 or newer) does not run` })
    throw new SetupError(nothingFound(machine, candidates))
  }
  try {
    mkdirSync(cache, { recursive: true })
  } catch (error) {
    throw new SetupError(`libtorch: the cache folder ${cache} cannot be made (${error.code}). Set XDG_CACHE_HOME.`)
  }
  for (const [how, fetchInto] of [
    ['pip', fetchWheel],
    ['official archive', fetchArchive],
  ]) {
    const partial = mkdtempSync(join(cache, '.partial-'))
    try {
      const problem = fetchInto(machine, python, partial)
      const inside = ['torch', 'libtorch'].find((name) => existsSync(join(partial, name)))
      const found = problem ? { problem } : inspectLibtorch(join(partial, inside ?? 'torch'))
      if (found.problem === undefined) {
        const target = join(cache, found.version)
        publish(partial, target)
        return { ...found, how, root: join(target, inside) }
      }
      candidates.push({ how, problem: found.problem })
    } finally {
      rmSync(partial, { recursive: true, force: true })
    }
  }
  throw new SetupError(nothingFound(machine, candidates))
}

// A process that was faster has published the same version: theirs stays. A broken leftover gives way.
function publish(partial, target) {
  if (existsSync(target)) {
    if (['torch', 'libtorch'].some((name) => inspectLibtorch(join(target, name)).problem === undefined)) return
    rmSync(target, { recursive: true, force: true })
  }
  renameSync(partial, target)
}

function fetchWheel(machine, python, partial) {
  if (!machine.run(python, ['-m', 'pip', '--version']).ok) return `${python} has no pip`
  const install = (...wanted) =>
    machine.run(
      python,
      ['-m', 'pip', 'install', '--quiet', '--no-input', '--no-compile', '--only-binary', ':all:'].concat([
        '--disable-pip-version-check',
        '--upgrade',
        '--target',
        partial,
        ...wanted,
      ]),
      { shown: true },
    )
  // The +cpu build first: a plain index would answer with the CUDA build, which is ten times larger.
  let done = { ok: false, stderr: '' }
  for (const wanted of [`torch==${PINNED}+cpu`, `torch==${PINNED}`]) {
    machine.say(`libtorch: pip install ${wanted} (about 200 MB, CUDA builds more) ...`)
    done = install('--no-deps', wanted)
    if (done.ok) break
  }
  if (!done.ok) return `pip install torch==${PINNED} failed: ${lastLine(done.stderr)}`
  if (!existsSync(join(partial, 'torch/lib/libtorch_cuda.so'))) return undefined
  const companions = cudaRequirements(partial)
  machine.say(`libtorch: CUDA build, so its ${companions.length} NVIDIA packages come along ...`)
  const brought = install(...companions)
  return brought.ok ? undefined : `pip install of the NVIDIA libraries failed: ${lastLine(brought.stderr)}`
}

/** The NVIDIA packages a CUDA wheel names in its METADATA; triton and Python bindings are not needed by C++. */
export function cudaRequirements(site) {
  const info = readdirSync(site).find((name) => /^torch-.*\.dist-info$/.test(name))
  const metadata = info === undefined ? '' : readFileSync(join(site, info, 'METADATA'), 'utf8')
  return [...metadata.matchAll(/^Requires-Dist: ((?:nvidia-|cuda-toolkit)[^;\n]*)(?:;(.*))?$/gm)]
    .filter(([, , marker]) => !/extra\s*==/.test(marker ?? ''))
    .map(([, requirement]) => requirement.replace(/[()\s]/g, ''))
}

function fetchArchive(machine, python, partial) {
  const url = `https://download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-${PINNED}%2Bcpu.zip`
  const zip = join(partial, 'libtorch.zip')
  machine.say(`libtorch: fetching ${url} ...`)
  // Python's urllib and zipfile: they are there anyway, and honour the usual proxy variables.
  const script =
    'import shutil, sys, urllib.request, zipfile\n' +
    'with urllib.request.urlopen(sys.argv[1], timeout=60) as r, open(sys.argv[2], "wb") as f: shutil.copyfileobj(r, f)\n' +
    'zipfile.ZipFile(sys.argv[2]).extractall(sys.argv[3])'
  const done = machine.run(python, ['-c', script, url, zip, partial])
  rmSync(zip, { force: true })
  return done.ok ? undefined : `${url} failed: ${lastLine(done.stderr)}`
}

function inspectPython(machine) {
  const python = pythonCommand(machine)
  // find_spec reads no torch code, so this takes milliseconds instead of seconds.
  const script =
    'import importlib.util as u; s = u.find_spec("torch")\n' +
    'print(list(s.submodule_search_locations or [""])[0] if s else "")'
  const answer = machine.run(python, ['-c', script])
  if (!answer.ok) return { problem: `${python} does not run` }
  const folder = answer.stdout.trim()
  return folder === '' ? { problem: `${python} has no torch` } : inspectLibtorch(folder)
}

function inspectCache(machine) {
  const cache = cacheFolder(machine)
  const versions = existsSync(cache) ? readdirSync(cache).filter((name) => /^\d/.test(name)) : []
  // The pinned version first, then the newest.
  versions.sort((a, b) => Number(b === PINNED) - Number(a === PINNED) || b.localeCompare(a, 'en', { numeric: true }))
  const seen = []
  for (const version of versions) {
    const name = existsSync(join(cache, version, 'libtorch')) ? 'libtorch' : 'torch'
    seen.push({ how: 'package cache', ...inspectLibtorch(join(cache, version, name)) })
    if (seen.at(-1).problem === undefined) return seen
  }
  return seen.length > 0 ? seen : [{ how: 'package cache', root: cache, problem: 'empty' }]
}

function pythonCommand(machine) {
  const { PYTHON, VIRTUAL_ENV } = machine.env
  return PYTHON || (VIRTUAL_ENV ? join(VIRTUAL_ENV, 'bin/python') : 'python3')
}

function headerVersion(root) {
  for (const name of ['torch/headeronly/version.h', 'torch/csrc/api/include/torch/version.h']) {
    const path = join(root, 'include', name)
    if (!existsSync(path)) continue
    const text = readFileSync(path, 'utf8')
    const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
      (part) => new RegExp(`^#define TORCH_VERSION_${part} (\\d+)`, 'm').exec(text)?.[1],
    )
    if (parts.every((part) => part !== undefined)) return parts.join('.')
  }
  return undefined
}

function pythonVersion(root) {
  const path = join(root, 'version.py')
  if (!existsSync(path)) return undefined
  return /^__version__ = ['"](\d+\.\d+\.\d+)/m.exec(readFileSync(path, 'utf8'))?.[1]
}

function minorOf(version) {
  return Number(version.split('.')[1])
}

function lastLine(text) {
  return text.trim().split('\n').at(-1)?.slice(0, 300) || 'no message'
}

function nothingFound(machine, candidates) {
  const tried = candidates.map(({ how, root, problem }) => `  ${how}${root ? ` ${root}` : ''}: ${problem}`)
  return [
    `libtorch: none found and none could be fetched. Tried in this order:`,
    ...tried,
    'Provide one of these, then run the same command again:',
    `  - MERGE_LM_LIBTORCH=/path/to/torch (a wheel's torch/ folder or an unpacked libtorch, ${OLDEST} to ${NEWEST})`,
    `  - a Python with pip and a network: python3 -m pip install torch==${PINNED}`,
    `  - a copied cache: ${join(cacheFolder(machine), PINNED)}/torch`,
  ].join('\n')
}

/** Writes the choice where the run-time loader reads it. */
export function recordLibtorch(found, path) {
  mkdirSync(dirname(path), { recursive: true })
  const text = `${JSON.stringify(found, null, 2)}\n`
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return
  writeFileSync(`${path}.partial`, text)
  renameSync(`${path}.partial`, path)
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    findLibtorch(realMachine())
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error.exitCode
  }
}
