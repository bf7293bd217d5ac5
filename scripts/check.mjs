// `npm run check`: format, lint, types, import direction. `npm run format` (--write) repairs what can be repaired.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const CLANG_FORMAT = '23.1.1' // versions differ in what they call formatted

/** Runs all checks and returns the names of those that passed, failed and were skipped. */
export function check({ write = false, direction = true } = {}) {
  const result = { passed: [], failed: [], skipped: [] }
  const step = (name, command, args) => {
    const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
    const isFine = done.status === 0
    result[isFine ? 'passed' : 'failed'].push(name)
    process.stdout.write(`check ${isFine ? 'passed' : 'FAILED'}: ${name}\n`)
  }
  const node = (name, script, ...args) => step(name, process.execPath, [join('node_modules', script), ...args])

  node(
    'format and lint (biome)',
    '@biomejs/biome/bin/biome',
    'check',
    ...(write ? ['--write'] : ['--error-on-warnings']),
  )

  const clangFormat = findClangFormat()
  if (clangFormat === undefined) {
    const mend = `python3 -m pip install --target build/tools clang-format==${CLANG_FORMAT}`
    result.skipped.push(`C++ format (clang-format ${CLANG_FORMAT} not found; ${mend})`)
  } else {
    const args = write ? ['-i'] : ['--dry-run', '-Werror']
    step('C++ format (clang-format)', clangFormat, [...args, ...nativeFiles()])
  }
  if (write) return result

  node('types of the sources', 'typescript/bin/tsc', '-p', 'tsconfig.json')
  node('types of the tests', 'typescript/bin/tsc', '-p', 'tsconfig.test.json')
  node('types of the examples', 'typescript/bin/tsc', '-p', 'tsconfig.examples.json', '--noEmit')
  if (direction)
    node('import direction', 'vitest/vitest.mjs', 'run', '--project', 'unit', 'test/unit/direction.test.ts')
  return result
}

function findClangFormat() {
  const places = [
    process.env.CLANG_FORMAT,
    join(root, 'build/tools/clang_format/data/bin/clang-format'),
    'clang-format',
  ]
  return places.find((place) => {
    if (place === undefined || place === '') return false
    const asked = spawnSync(place, ['--version'], { encoding: 'utf8' })
    return asked.status === 0 && asked.stdout.includes(`version ${CLANG_FORMAT}`)
  })
}

function nativeFiles() {
  return ['native', 'test/native', 'bench/native']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((name) => `${folder}/${name}`))
    .filter((name) => /\.(cc|h|cuh?)$/.test(name))
    .sort()
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { passed, failed, skipped } = check({ write: process.argv.includes('--write') })
  for (const name of skipped) process.stdout.write(`skipped: ${name}\n`)
  process.stdout.write(`${passed.length} passed, ${failed.length} failed, ${skipped.length} skipped\n`)
  process.exitCode = failed.length > 0 ? 1 : 0
}
