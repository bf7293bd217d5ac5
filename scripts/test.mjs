// `npm test`: build what is out of date, check, then every test; the last line counts all of it.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { check } from './check.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const total = { passed: 0, failed: 0, skipped: [] }

function main() {
  // 1) build, the C++ tests included
  if (node('scripts/build.mjs', '--tests') !== 0) {
    total.failed += 1
    return
  }
  total.passed += 1

  // 1b) CUDA kernels: compiled and linked wherever there is an nvcc
  const cuda = node('scripts/cuda.mjs')
  if (cuda === 0) total.passed += 1
  else if (cuda === 77) total.skipped.push('CUDA kernels (no nvcc)')
  else total.failed += 1

  // 2) format, lint, types; the import direction is one of the unit tests below
  const checked = check({ direction: false })
  total.passed += checked.passed.length
  total.failed += checked.failed.length
  total.skipped.push(...checked.skipped)

  // 3) TypeScript: end-to-end tests one after the other, since some of them measure time
  vitest('unit and parity', '--project', 'unit', '--project', 'parity')
  vitest('end to end', '--project', 'e2e', '--no-file-parallelism')

  // 4) C++
  ctest()
}

function vitest(name, ...args) {
  const report = join(root, 'build/test', `${name.replaceAll(' ', '-')}.json`)
  mkdirSync(dirname(report), { recursive: true })
  rmSync(report, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const status = node('node_modules/vitest/vitest.mjs', 'run', '--passWithNoTests', ...args, ...reporters)
  const failedBefore = total.failed
  try {
    const counts = JSON.parse(readFileSync(report, 'utf8'))
    total.passed += counts.numPassedTests
    total.failed += counts.numFailedTests
    const skipped = counts.numPendingTests + counts.numTodoTests
    if (skipped > 0) total.skipped.push(`${skipped} of ${name}`)
  } catch {
    // No report at all: counted below by the exit status.
  }
  // A file that does not load or a worker that dies fails without a failed test.
  if (status !== 0 && total.failed === failedBefore) total.failed += 1
}

function ctest() {
  const options = { cwd: join(root, 'build/cmake'), encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }
  const done = spawnSync('ctest', ['--output-on-failure'], { ...options, maxBuffer: 64 << 20 })
  process.stdout.write(done.stdout ?? '')
  // Each program ends with its own count; one that died before that counts as one failure.
  const log = join(root, 'build/cmake/Testing/Temporary/LastTest.log')
  const counts = [...readFileSync(log, 'utf8').matchAll(/^(\d+) passed, (\d+) failed$/gm)]
  const failedCases = counts.reduce((sum, [, , failed]) => sum + Number(failed), 0)
  total.passed += counts.reduce((sum, [, passed]) => sum + Number(passed), 0)
  total.failed += failedCases
  if (done.status !== 0 && failedCases === 0) total.failed += 1
  const skipped = (done.stdout ?? '').match(/\*\*\*Skipped/g)?.length ?? 0
  if (skipped > 0) total.skipped.push(`${skipped} of the C++ test programs`)
}

function node(script, ...args) {
  return spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' }).status
}

main()
for (const name of total.skipped) process.stdout.write(`skipped: ${name}\n`)
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`)
process.exitCode = total.failed > 0 ? 1 : 0
