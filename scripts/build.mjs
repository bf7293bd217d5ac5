// `npm run build`: tools, libtorch, native code through cmake-js, TypeScript. An up-to-date build takes seconds.
// --native stops after the native part; --tests builds the C++ tests as well; --release DIR says where the addons go.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { findLibtorch, realMachine, recordLibtorch, SetupError } from './libtorch.mjs'
import { inspectTools } from './toolchain.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const cmakeFolder = join(root, 'build/cmake')
const KERNELS = 'libmerge_cuda.so'
const COMPILE_BYTES = 1.5e9 // what one compiler of a libtorch source takes at most

function build() {
  const { values } = parseArgs({
    options: { native: { type: 'boolean' }, tests: { type: 'boolean' }, release: { type: 'string' } },
  })
  const release = resolve(values.release ?? join(root, 'build/Release'))
  const machine = realMachine()

  // 1) the tools, all of their problems in one message
  const problems = inspectTools(machine).filter(({ needed, problem }) => needed && problem !== undefined)
  if (problems.length > 0) {
    throw new SetupError(
      problems.map(({ name, problem, mend }) => `${name}: ${problem}.\n  To mend it: ${mend}.`).join('\n'),
    )
  }
  if (!existsSync(join(root, 'node_modules/cmake-js'))) {
    throw new SetupError('node_modules: cmake-js is missing.\n  To mend it: npm ci (with development dependencies).')
  }

  // 2) libtorch
  const found = findLibtorch(machine)

  // 3) native code
  buildNative(found, values.tests === true)
  for (const name of ['core.node', 'loader.node']) place(join(cmakeFolder, 'Release', name), join(release, name))
  // The CUDA kernels, where they were built
  if (existsSync(join(cmakeFolder, KERNELS))) place(join(cmakeFolder, KERNELS), join(release, KERNELS))
  else rmSync(join(release, KERNELS), { force: true })
  recordLibtorch(found, join(release, 'libtorch.json'))
  if (values.native === true) return

  // 4) TypeScript
  for (const project of ['tsconfig.json', 'tsconfig.examples.json']) {
    run('TypeScript', 'node_modules/typescript/bin/tsc', ['-p', project])
  }
}

function buildNative(found, withTests) {
  const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / COMPILE_BYTES)))
  // cmake-js configures only once; another libtorch needs another configuration.
  const cache = join(cmakeFolder, 'CMakeCache.txt')
  if (existsSync(cache) && !readFileSync(cache, 'utf8').includes(`\nMERGE_LM_LIBTORCH:PATH=${found.root}\n`)) {
    rmSync(cmakeFolder, { recursive: true })
  }
  const args = ['build', '--log-level', 'warn', '--out', cmakeFolder, '--parallel', String(jobs)]
  run('native build', 'node_modules/cmake-js/bin/cmake-js', [...args, `--CDMERGE_LM_LIBTORCH=${found.root}`])
  if (!withTests) return
  const done = spawnSync('cmake', ['--build', cmakeFolder, '--target', 'native_tests', '--parallel', String(jobs)], {
    stdio: 'inherit',
  })
  if (done.status !== 0) throw new SetupError('native tests: the compiler reported the errors above.')
}

// By rename, never in place: a running process may have the old file mapped.
function place(from, to) {
  const bytes = readFileSync(from)
  if (existsSync(to) && readFileSync(to).equals(bytes)) return
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, `${to}.partial`)
  renameSync(`${to}.partial`, to)
}

function run(what, script, args) {
  const done = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' })
  if (done.status !== 0) throw new SetupError(`${what}: stopped by the errors above.`)
}

try {
  build()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  process.stderr.write(`\n${error.message}\n`)
  process.exitCode = error.exitCode
}
