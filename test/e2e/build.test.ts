// The build: nothing to do is done in seconds, node-gyp gives the same addon, the addons are hardened, failures are clear.
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { builtLibtorch, releaseFolder } from '../../src/libtorch.js'

const root = resolve(import.meta.dirname, '../..')
const addons = ['core.node', 'loader.node'] as const

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-lm-build-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function run(command: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  const done = spawnSync(command, args, { cwd: options.cwd ?? root, env: options.env ?? process.env, encoding: 'utf8' })
  return { status: done.status, output: `${done.stdout}${done.stderr}` }
}

const build = (env: NodeJS.ProcessEnv) =>
  run(process.execPath, [join(root, 'scripts/build.mjs'), '--native'], { env: { ...process.env, ...env } })

describe('build', () => {
  test('an up-to-date build changes nothing and takes seconds', () => {
    const before = addons.map((name) => statSync(join(releaseFolder, name)).mtimeMs)
    const start = performance.now()
    const { status, output } = build({})
    const seconds = (performance.now() - start) / 1000
    expect(status, output).toBe(0)
    expect(addons.map((name) => statSync(join(releaseFolder, name)).mtimeMs)).toEqual(before)
    expect(seconds).toBeLessThan(20)
  })

  test('node-gyp rebuild gives the same addons through the bridge, offline', () => {
    // In a folder of its own, because node-gyp clears build/ first; everything in it leads to the real sources.
    for (const name of ['CMakeLists.txt', 'cmake', 'native', 'scripts'])
      symlinkSync(join(root, name), join(folder, name))
    for (const name of ['binding.gyp', 'package.json']) cpSync(join(root, name), join(folder, name))
    const installed = resolve(dirname(process.execPath), '..')
    const headers = existsSync(join(installed, 'include/node/node_api.h')) ? [`--nodedir=${installed}`] : []
    const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
    const { status, output } = run(process.execPath, [gyp, 'rebuild', ...headers], { cwd: folder })
    expect(status, output).toBe(0)
    for (const name of addons) {
      const bytes = readFileSync(join(folder, 'build/Release', name))
      expect(bytes.equals(readFileSync(join(releaseFolder, name))), name).toBe(true)
    }
  })

  test('npm runs no build of its own while it installs', () => {
    const { gypfile, scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(gypfile).toBe(false)
    expect(Object.keys(scripts).filter((name) => /install|prepare|prepublish/.test(name))).toEqual([])
  })
})

describe.each(addons)('hardening of %s', (name) => {
  const readelf = (flag: string) => run('readelf', ['-W', flag, join(releaseFolder, name)]).output

  test('binds at load, without RPATH, with read-only relocations and no executable stack', () => {
    const dynamic = readelf('-d')
    expect(dynamic).toMatch(/BIND_NOW|\bNOW\b/)
    expect(dynamic).toContain('SYMBOLIC')
    expect(dynamic).not.toMatch(/RPATH|RUNPATH/)
    const segments = readelf('-l')
    expect(segments).toContain('GNU_RELRO')
    expect(segments).toMatch(/GNU_STACK .* RW /)
  })

  test('exports its Node-API entries and nothing of ours', () => {
    const lines = readelf('--dyn-syms').split('\n')
    const exported = lines
      .map((line) => line.trim().split(/\s+/))
      .filter((parts) => parts.length === 8 && parts[6] !== 'UND' && /^(GLOBAL|WEAK|UNIQUE)$/.test(parts[4] ?? ''))
      .map((parts) => parts[7] ?? '')
    expect(exported).toContain('napi_register_module_v1')
    // Inline parts of the C++ library and of libtorch stay visible by their own declaration; namespace merge must not.
    const own = exported.filter(
      (symbol) => !/^(napi_|node_api_|_init$|_fini$|__bss_start$|_edata$|_end$|_Z)/.test(symbol),
    )
    own.push(...exported.filter((symbol) => symbol.includes('5merge')))
    expect(own).toEqual([])
  })

  test('needs libtorch only where it should', () => {
    const needed = [...readelf('-d').matchAll(/NEEDED.*\[(.*)\]/g)].map((match) => match[1])
    expect(needed.includes('libtorch.so')).toBe(name === 'core.node')
    expect(needed.some((library) => library?.includes('python'))).toBe(false)
  })
})

describe('a set-up that cannot work ends in one readable message and exit code 2', () => {
  /** PATH with these commands only. */
  function pathWith(...names: string[]): string {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    for (const name of names) {
      const real = (process.env.PATH ?? '').split(delimiter).find((place) => existsSync(join(place, name)))
      if (real !== undefined) symlinkSync(join(real, name), join(bin, name))
    }
    return bin
  }

  test('no compiler', () => {
    const { status, output } = build({ PATH: pathWith('cmake', 'ninja', 'make', 'python3') })
    expect(output).toContain('C++ compiler: g++ does not run.\n  To mend it: install g++ 12 or newer')
    expect(output).not.toMatch(/\n\s+at /)
    expect(status).toBe(2)
  })

  test('a compiler that is too old', () => {
    const old = join(folder, 'g++-9')
    writeFileSync(old, '#!/bin/sh\necho 9.4.0\n', { mode: 0o755 })
    const { status, output } = build({ CXX: old })
    expect(output).toContain('expected version 12 or newer, received 9.4.0')
    expect(status).toBe(2)
  })

  test('no CMake and no make: both in one message', () => {
    const { status, output } = build({ PATH: pathWith('g++', 'python3') })
    expect(output).toContain('CMake: cmake does not run.')
    expect(output).toContain('make or Ninja: neither runs.')
    expect(status).toBe(2)
  })

  test('no Python and no libtorch', () => {
    const { status, output } = build({ PYTHON: join(folder, 'python'), XDG_CACHE_HOME: folder, MERGE_LM_LIBTORCH: '' })
    expect(output).toContain('libtorch: none found and none could be fetched')
    expect(output).toContain('MERGE_LM_LIBTORCH=/path/to/torch')
    expect(status).toBe(2)
  })

  test('MERGE_LM_LIBTORCH without libraries', () => {
    mkdirSync(join(folder, 'include'))
    const { status, output } = build({ MERGE_LM_LIBTORCH: folder })
    expect(output).toMatch(/MERGE_LM_LIBTORCH: expected a libtorch 2\.11 to 2\.14 .* lacks lib\/libtorch\.so/)
    expect(status).toBe(2)
  })
})

describe('CMake refuses', () => {
  const configure = (libtorch: string) =>
    run('cmake', [`-DMERGE_LM_LIBTORCH=${libtorch}`, '-P', join(root, 'cmake/Libtorch.cmake')])

  function fakeLibtorch(minor: number): string {
    const header = join(folder, 'include/torch/headeronly/version.h')
    mkdirSync(dirname(header), { recursive: true })
    const numbers = Object.entries({ MAJOR: 2, MINOR: minor, PATCH: 0 })
    writeFileSync(header, numbers.map(([part, value]) => `#define TORCH_VERSION_${part} ${value}\n`).join(''))
    mkdirSync(join(folder, 'lib'))
    for (const name of ['libtorch', 'libtorch_cpu', 'libc10']) writeFileSync(join(folder, 'lib', `${name}.so`), '')
    return folder
  }

  test('libraries of another installation than the headers', () => {
    const fake = fakeLibtorch(13)
    rmSync(join(fake, 'lib'), { recursive: true })
    symlinkSync(join(builtLibtorch().root, 'lib'), join(fake, 'lib'))
    const { status, output } = configure(fake)
    expect(output.replace(/\s+/g, ' ')).toContain('headers and libraries come from different places')
    expect(status).not.toBe(0)
  })

  test.each([10, 15])('version 2.%i', (minor) => {
    const { status, output } = configure(fakeLibtorch(minor))
    expect(output.replace(/\s+/g, ' ')).toContain(`expected version 2.11 to 2.14, received 2.${minor}.0`)
    expect(status).not.toBe(0)
  })

  test('no libtorch named', () => {
    expect(configure('').output.replace(/\s+/g, ' ')).toContain('received nothing')
  })
})
