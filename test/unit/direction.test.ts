// Dependencies run one way (docs/architecture.md): imports of src/ and includes of native/ are read and compared.
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { expect, test } from 'vitest'

/** What may be imported from where: a file imports only from its own layer, within its folder, or from lower layers. */
const layersOfSrc: readonly (readonly string[])[] = [
  ['errors', 'hint', 'random', 'threads', 'version'],
  ['libtorch'],
  ['native'],
  ['parseConfig', 'rows', 'savedFolder', 'training/schedule'],
  ['config/'],
  ['config'],
  ['openModel', 'session'],
  ['ops/', 'text/'],
  ['editor', 'savedModel'],
  ['rewriting', 'pretrained/'],
  ['training/task'],
  ['merge/', 'remedi/'],
  ['baselines/'],
  ['training/checkpoint'],
  ['model'],
  ['training/'],
  ['index'],
  ['bench/'],
  ['cli/', 'server/'],
]

const layersOfNative: readonly (readonly string[])[] = [
  ['error.h', 'random.h', 'record.h', 'rows.h', 'checks.h', 'checks.cc'],
  ['engine.h', 'operation.h'],
  ['kernels/', 'text/'],
  ['ops/'],
  ['io/'],
  ['nn/'],
  ['optim/'],
  ['family.h'],
  ['merge/', 'remedi/'],
  ['baselines/'],
  [
    ...['family.cc', 'engine.cc', 'guard.h', 'memory_pool.h', 'memory_pool.cc', 'operation.cc'],
    ...['op_profile.h', 'op_profile.cc', 'op_timing.h', 'op_timing.cc'],
  ],
  ['addon/'],
]

/** Index of the layer with the longest matching entry, so that `training/schedule` goes before `training/`. */
function layerOf(file: string, layers: readonly (readonly string[])[]): { layer: number; entry: string } | undefined {
  const name = file.replace(/\.ts$/, '')
  let best: { layer: number; entry: string } | undefined
  layers.forEach((entries, layer) => {
    for (const entry of entries) {
      const matches = entry.endsWith('/') ? name.startsWith(entry) : name === entry
      if (matches && entry.length > (best?.entry.length ?? 0)) best = { layer, entry }
    }
  })
  return best
}

function violations(
  files: readonly string[],
  importsOf: (file: string) => readonly string[],
  layers: readonly (readonly string[])[],
): string[] {
  return files.flatMap((file) => {
    const from = layerOf(file, layers)
    if (from === undefined) return [`${file}: in no layer of this test`]
    return importsOf(file).flatMap((target) => {
      const to = layerOf(target, layers)
      if (to === undefined) return [`${file} -> ${target}: the target is in no layer of this test`]
      // Two single files of one layer may know each other, two folders of one layer may not.
      const isAllowed =
        to.layer < from.layer ||
        (to.layer === from.layer && (to.entry === from.entry || !(to.entry.endsWith('/') || from.entry.endsWith('/'))))
      return isAllowed ? [] : [`${file} -> ${target}`]
    })
  })
}

function filesUnder(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => pattern.test(name)).sort()
}

function matches(path: string, pattern: RegExp): string[] {
  return [...readFileSync(path, 'utf8').matchAll(pattern)].map((match) => match[1] ?? '')
}

const sources = filesUnder('src', /\.ts$/)
const natives = filesUnder('native', /\.(cc|h|cu|cuh)$/)
const specifier = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g

function importsOfSrc(file: string): string[] {
  return matches(join('src', file), specifier)
    .filter((name) => name.startsWith('.'))
    .map((name) => posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts'))
    .filter((name) => !name.startsWith('..'))
}

function includesOfNative(file: string): string[] {
  const folder = posix.dirname(file)
  return matches(join('native', file), /^\s*#include "([^"]+)"/gm).map((name) => {
    const beside = posix.join(folder, name)
    return natives.includes(name) ? name : beside
  })
}

/** Shortest way from a file back to itself, if there is one. */
function cycleThrough(start: string, importsOf: (file: string) => readonly string[]): string[] | undefined {
  const queue = importsOf(start).map((file) => [start, file])
  const seen = new Set<string>()
  for (let way = queue.shift(); way !== undefined; way = queue.shift()) {
    const last = way.at(-1) ?? start
    if (last === start) return way
    if (seen.has(last)) continue
    seen.add(last)
    for (const next of importsOf(last)) queue.push([...way, next])
  }
  return undefined
}

test('src: imports go to lower layers only', () => {
  expect(violations(sources, importsOfSrc, layersOfSrc)).toEqual([])
})

test('src: no circles', () => {
  const cache = new Map(sources.map((file) => [file, importsOfSrc(file)]))
  const circles = sources.map((file) => cycleThrough(file, (name) => cache.get(name) ?? []))
  expect(circles.filter((way) => way !== undefined)).toEqual([])
})

test('src: only native.ts loads an addon; only libtorch.ts and the command line use the set-up scripts', () => {
  const loads = sources.filter((file) => matches(join('src', file), /(createRequire|process\.dlopen)/g).length > 0)
  expect(loads.filter((file) => file !== 'native.ts')).toEqual([])
  const scripted = sources.filter((file) =>
    matches(join('src', file), specifier).some((name) => name.includes('/scripts/')),
  )
  expect(scripted.filter((file) => file !== 'libtorch.ts' && !file.startsWith('cli/'))).toEqual([])
})

test('native: includes go to lower layers only', () => {
  expect(violations(natives, includesOfNative, layersOfNative)).toEqual([])
})

test('native: no torch header in the addon and in engine.h, no Node header anywhere else', () => {
  const torch = /#include <((?:torch|ATen|c10)\/[^>]+)>/g
  const node = /#include <((?:napi|node_api|uv|v8|node)\.h)>/g
  const light = natives.filter((file) => file.startsWith('addon/') || file === 'engine.h')
  expect(light.flatMap((file) => matches(join('native', file), torch).map((name) => `${file} -> ${name}`))).toEqual([])
  const engine = natives.filter((file) => !file.startsWith('addon/'))
  expect(engine.flatMap((file) => matches(join('native', file), node).map((name) => `${file} -> ${name}`))).toEqual([])
})

test('the table itself finds an upward import, a sideways one and a circle', () => {
  const layers = [['errors'], ['text/', 'data/'], ['cli/']]
  const imports = (file: string) => ({ 'text/a.ts': ['cli/x.ts'], 'data/b.ts': ['text/a.ts'] })[file] ?? ['errors.ts']
  expect(violations(['text/a.ts', 'data/b.ts', 'cli/x.ts'], imports, layers)).toEqual([
    'text/a.ts -> cli/x.ts',
    'data/b.ts -> text/a.ts',
  ])
  expect(cycleThrough('a', (file) => (file === 'a' ? ['b'] : ['a']))).toEqual(['a', 'b', 'a'])
})
