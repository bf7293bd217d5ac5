// `npm run cuda:check`: compiles and links the CUDA kernels and tries the library where there is no GPU. Needs nvcc; any
// libtorch will do, since the kernels know none. Ends with 77, "skipped: no nvcc", where there is none.
// --fetch brings NVIDIA's compiler as Python packages (100 MB) into the package's cache.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cacheFolder, realMachine, SetupError } from './libtorch.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const cmakeFolder = join(root, 'build/cmake')
const SKIPPED = 77
/** Tried with these; nvcc looks for its own parts beside itself, so all lie in one folder. */
const PACKAGES = ['nvidia-cuda-nvcc', 'nvidia-cuda-runtime', 'nvidia-cuda-crt', 'nvidia-cuda-cccl', 'nvidia-nvvm']
const CUDA = '13.0'

/** The nvcc to compile with: MERGE_LM_NVCC, that of the PATH or of a toolkit, that of the package's cache. */
export function findNvcc(machine) {
  const { MERGE_LM_NVCC: named, CUDA_HOME: home } = machine.env
  const candidates = [named, 'nvcc', home && join(home, 'bin/nvcc'), '/usr/local/cuda/bin/nvcc', cachedNvcc(machine)]
  if (named) candidates.length = 1
  for (const command of candidates) {
    if (!command) continue
    const asked = machine.run(command, ['--version'])
    if (asked.ok) return { command, version: /release (\S+),/.exec(asked.stdout)?.[1] ?? 'unknown' }
  }
  return undefined
}

function cachedNvcc(machine) {
  return join(cacheFolder(machine), '../cuda', CUDA, 'nvidia/cu13/bin/nvcc')
}

function fetchNvcc(machine) {
  const folder = join(cacheFolder(machine), '../cuda', CUDA)
  if (existsSync(folder)) return
  const partial = `${folder}.partial-${process.pid}`
  mkdirSync(partial, { recursive: true })
  machine.say(`nvcc: pip install ${PACKAGES.join(' ')} (about 100 MB) ...`)
  const wanted = PACKAGES.map((name) => `${name}==${CUDA}.*`)
  const done = machine.run(
    machine.env.PYTHON || 'python3',
    ['-m', 'pip', 'install', '--quiet', '--no-input', '--no-deps', '--only-binary', ':all:'].concat([
      '--disable-pip-version-check',
      '--target',
      partial,
      ...wanted,
    ]),
    { shown: true },
  )
  if (!done.ok) {
    rmSync(partial, { recursive: true })
    throw new SetupError(`nvcc: pip install failed: ${done.stderr.trim().split('\n').at(-1)}`)
  }
  // pip does not keep the right to run of every file.
  for (const tools of ['bin', 'nvvm/bin']) {
    const place = join(partial, 'nvidia/cu13', tools)
    for (const entry of readdirSync(place, { withFileTypes: true })) {
      if (entry.isFile()) chmodSync(join(place, entry.name), 0o755)
    }
  }
  renameSync(partial, folder)
}

function check(machine) {
  const { values } = parseArgs({ options: { fetch: { type: 'boolean' } } })
  if (values.fetch === true && findNvcc(machine) === undefined) fetchNvcc(machine)
  const nvcc = findNvcc(machine)
  if (nvcc === undefined) {
    machine.say('skipped: no nvcc (CUDA kernels not compiled; MERGE_LM_NVCC names one, --fetch brings one)')
    return SKIPPED
  }
  if (!existsSync(join(cmakeFolder, 'CMakeCache.txt'))) {
    throw new SetupError('build/cmake: expected a build, received none.\n  To mend it: npm run build.')
  }
  machine.say(`nvcc ${nvcc.version}: ${nvcc.command}`)
  const where = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', nvcc.command], { encoding: 'utf8' }).stdout.trim()
  const steps = [
    ['cmake', cmakeFolder, '-DMERGE_LM_CUDA=ON', `-DMERGE_LM_NVCC=${where}`],
    ['cmake', '--build', cmakeFolder, '--target', 'cuda_kernels', 'cuda_library_test'],
    [join(cmakeFolder, 'test/cuda_library_test')],
  ]
  for (const [command, ...args] of steps) {
    if (spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status !== 0) return 1
  }
  return 0
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.exitCode = check(realMachine())
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    process.stderr.write(`\n${error.message}\n`)
    process.exitCode = error.exitCode
  }
}
