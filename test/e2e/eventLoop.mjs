// F.5, F.11, F.3: what the event loop does while a step runs, and how fast a step stops. Prints one JSON report.
import { readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { longStep, shortStep, startNative, tinyConfig } from './tinyModel.mjs'

const watchMs = 1500
const native = await startNative()
const session = await native.open(tinyConfig)
const other = await native.open(tinyConfig)

// 1) a long step runs; timers tick and files are read
const histogram = monitorEventLoopDelay({ resolution: 1 })
let ticks = 0
const timer = setInterval(() => {
  ticks += 1
}, 10)
const step = longStep(session).then(
  () => 'ended',
  (error) => error.code,
)
const queued = shortStep(session).then(
  () => 'ended',
  (error) => error.code,
)
histogram.enable()
let slowestReadMs = 0
const end = performance.now() + watchMs
while (performance.now() < end) {
  const start = performance.now()
  await readFile(fileURLToPath(import.meta.url))
  slowestReadMs = Math.max(slowestReadMs, performance.now() - start)
  await new Promise((resolve) => setTimeout(resolve, 20))
}
histogram.disable()
clearInterval(timer)
const isStillRunning = (await Promise.race([step, Promise.resolve('running')])) === 'running'

// 2) dispose stops it at the next micro-batch
const start = performance.now()
const disposals = [session.dispose(), session.dispose()]
const codes = [await step, await queued]
await Promise.all(disposals)
const stopMs = performance.now() - start
const later = await session.memory().then(
  () => 'ended',
  (error) => ({ code: error.code, stack: error.stack }),
)

// 3) the other session never noticed
await shortStep(other)
await other.dispose()
const report = {
  ticks,
  p99Ms: histogram.percentile(99) / 1e6,
  slowestReadMs,
  isStillRunning,
  codes,
  stopMs,
  later,
  stats: native.memoryStats(),
}
process.stdout.write(JSON.stringify(report))
