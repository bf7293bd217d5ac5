// The loss of a tied head, forward and backward, by parts of its positions and all at once, in turns; each in a process of its
// own, for what it holds at most.
//
//   node bench/headLoss.mjs [TOKENS [THREADS]]        4096 2; after npm run build
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { benchSize } from '../dist/bench/benchSize.js'
import { timeOp } from '../dist/bench/opTiming.js'
import { loadNative } from '../dist/native.js'

const [given, threads = 2, op, dtype] = process.argv.slice(2)
const tokens = Number(given ?? 4096)
if (op === undefined) {
  for (const type of ['float32', 'bfloat16']) {
    const found = new Map([
      ['headLoss', []],
      ['headLossWhole', []],
    ])
    for (let turn = 0; turn < 3; turn++) {
      for (const [name, results] of found) {
        const args = [fileURLToPath(import.meta.url), tokens, threads, name, type].map(String)
        results.push(
          JSON.parse(
            spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).stdout,
          ),
        )
      }
    }
    for (const [name, results] of found) {
      const [, { milliseconds, mebibytes }] = results.toSorted((a, b) => a.milliseconds - b.milliseconds)
      console.log(`${tokens} tokens, ${type}, ${name}: ${milliseconds.toFixed(0)} ms, ${mebibytes.toFixed(0)} MiB`)
    }
  }
} else {
  const native = await loadNative()
  await native.start(Number(threads))
  const { layers, width, heads, feedForward, vocabulary } = benchSize('reference')
  const shape = { rows: 1, length: tokens, width, heads, feedForward, layers, vocabulary, dtype }
  const { fast } = await timeOp(native, { op, ...shape, backward: true, pairs: 3 })
  const [, milliseconds] = fast.toSorted((a, b) => a - b)
  console.log(JSON.stringify({ milliseconds, mebibytes: process.resourceUsage().maxRSS / 1024 }))
}
