// The bridge node-gyp walks over: hands its call to scripts/build.mjs, so that there is one build and one source list.
const { spawnSync } = require('node:child_process')
const { readdirSync } = require('node:fs')
const { join, resolve } = require('node:path')

const root = resolve(__dirname, '..')

if (process.argv[2] === '--sources') {
  // Every native source, one a line: node-gyp reruns the action when one of them is newer than its outputs.
  const files = readdirSync(join(root, 'native'), { recursive: true }).filter((name) => /\.(cc|h|cu)$/.test(name))
  process.stdout.write(files.map((name) => `native/${name}\n`).join(''))
} else {
  const args = [
    join(root, 'scripts/build.mjs'),
    '--native',
    '--release',
    process.argv[2] ?? join(root, 'build/Release'),
  ]
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
}
