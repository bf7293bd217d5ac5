// I: the addon's own code under AddressSanitizer and ThreadSanitizer, with a double of the engine instead of libtorch.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runChild } from './nativeChild.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = join(root, 'build/sanitized')
const compiler = process.env.CXX ?? 'g++'

/** Path of one of the compiler's run-time libraries, or nothing where it is not installed. */
function runtimeLibrary(name: string): string | undefined {
  const path = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout?.trim()
  return path !== undefined && path !== name && existsSync(path) ? path : undefined
}

const runtimes = ['libasan.so', 'libubsan.so', 'libtsan.so'].map(runtimeLibrary)
const isInstalled = runtimes.every((path) => path !== undefined)

const addonSources = [
  ...readdirSync(join(root, 'native/addon'))
    .filter((name) => name.endsWith('.cc') && name !== 'loader.cc')
    .map((name) => `native/addon/${name}`),
  'native/text/bpe_trainer.cc',
  'test/native/double/stub_engine.cc',
]
const headers = ['native', 'native/addon', 'native/text'].flatMap((part) =>
  readdirSync(join(root, part))
    .filter((name) => name.endsWith('.h'))
    .map((name) => join(root, part, name)),
)
const addonFlags = [
  '-DNAPI_VERSION=9',
  '-DNODE_ADDON_API_CPP_EXCEPTIONS_ALL',
  '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  '-DNODE_API_NO_EXTERNAL_BUFFERS_ALLOWED',
  '-DBUILDING_NODE_EXTENSION',
  ...['node-addon-api', 'node-api-headers/include'].flatMap((name) => ['-isystem', join(root, 'node_modules', name)]),
]

// Compiles what is older than its source or any header.
function compile(target: string, sources: readonly string[], flags: readonly string[]): void {
  const inputs = [...sources.map((name) => join(root, name)), ...headers]
  const isFresh = existsSync(target) && inputs.every((path) => statSync(path).mtimeMs < statSync(target).mtimeMs)
  if (isFresh) return
  const args = ['-std=c++20', '-g1', '-O0', '-fno-omit-frame-pointer', '-Inative', ...flags, ...sources, '-o', target]
  const done = spawnSync(compiler, args, { cwd: root, encoding: 'utf8' })
  expect(done.status, done.stderr).toBe(0)
}

describe.skipIf(!isInstalled)('I sanitizers', () => {
  const work = mkdtempSync(join(tmpdir(), 'merge-lm-sanitizers-'))
  const env = {
    MERGE_LM_ADDON: join(folder, 'address'),
    LD_PRELOAD: runtimes.slice(0, 2).join(' '),
    // Node itself keeps memory to its end; what matters here are reads and writes out of bounds or after the end.
    ASAN_OPTIONS: 'detect_leaks=0:alloc_dealloc_mismatch=0:exitcode=99',
    UBSAN_OPTIONS: 'halt_on_error=1:exitcode=99',
  }

  beforeAll(() => {
    mkdirSync(join(folder, 'address'), { recursive: true })
    const objects = addonSources.map((source) => {
      const object = join(folder, `${basename(source, '.cc')}.o`)
      compile(object, [source], ['-fsanitize=address,undefined', '-fPIC', '-fvisibility=hidden', '-c', ...addonFlags])
      return object
    })
    const link = ['-fsanitize=address,undefined', '-shared', ...objects, '-o', join(folder, 'address/core.node')]
    const done = spawnSync(compiler, link, { encoding: 'utf8' })
    expect(done.status, done.stderr).toBe(0)
  })
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  it('address and undefined: hostile calls', async () => {
    const ending = await runChild('hostileCalls.mjs', [], { cwd: work, env, timeoutMs: 240_000 })
    expect(ending, ending.errors).toMatchObject({ code: 0, signal: null, errors: '' })
  })

  it.each([
    ['return, not disposed', 0],
    ['process.exit with a full queue', 3],
    ['calls inside an exit listener', 3],
    ['worker.terminate, running', 0],
    ['worker.terminate, opening', 0],
    ['worker.terminate, failing', 0],
    ['twenty workers in sequence', 0],
    ['eight workers at once', 0],
    ['garbage collected while in use', 0],
  ])('address and undefined: %s', async (shape, code) => {
    const ending = await runChild('exitShapes.mjs', [shape], { env, nodeArguments: ['--expose-gc'] })
    expect(ending, ending.errors).toMatchObject({ code, signal: null, errors: '' })
  })

  it('thread: the compute thread', () => {
    const program = join(folder, 'compute_thread_test')
    compile(program, ['test/native/compute_thread_test.cc'], ['-fsanitize=thread', '-pthread'])
    const done = spawnSync(program, { encoding: 'utf8', env: { TSAN_OPTIONS: 'exitcode=99' } })
    expect(done.status, done.stdout + done.stderr).toBe(0)
    expect(done.stdout).toMatch(/[1-9]\d* passed, 0 failed/)
  })
})
