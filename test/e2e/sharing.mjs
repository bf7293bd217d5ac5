// F.4, F.6, F.9: many callers, several models and workers share one compute thread. Prints one JSON report.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { packed, shortStep, startNative, tinyConfig, tinyRound, tinyStep } from './tinyModel.mjs'

const requests = 100

// Request `i` always asks the same, so its answer must always be the same bits.
function ask(session, i) {
  const rows = packed([Array.from({ length: (i % 7) + 1 }, (_, k) => (i * 13 + k) % 250), [i % 250]])
  if (i % 3 === 0) return session.evaluate({ ...tinyStep, seed: i }, rows, rows)
  const flags = new Uint8Array(rows.tokens.length)
  return session.refineRound(
    { ...tinyRound, seed: i, temperature: 1 },
    rows,
    flags,
    new Uint8Array(flags.length + 2).fill(1),
  )
}

// Times differ from call to call; everything else may not.
const bits = (answer) => JSON.stringify(answer, (key, value) => (key.endsWith('Seconds') ? undefined : value))

async function allAtOnce(session) {
  return (await Promise.all(Array.from({ length: requests }, (_, i) => ask(session, i)))).map(bits)
}

function threads() {
  return Number(/^Threads:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}

function inWorker() {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url))
    let answers
    worker.on('message', (message) => {
      answers = message
    })
    worker.on('error', reject)
    worker.on('exit', () => resolve(answers))
  })
}

const native = await startNative()
const session = await native.open(tinyConfig)
if (!isMainThread) {
  parentPort.postMessage(await allAtOnce(session))
} else {
  const report = {}
  // 1) one caller after the other
  const serial = []
  for (let i = 0; i < requests; i++) serial.push(bits(await ask(session, i)))
  const isSerial = (answers) => JSON.stringify(answers) === JSON.stringify(serial)
  // 2) all at once, beside another model that learns
  const other = await native.open({ ...tinyConfig, seed: 2 })
  const learning = Promise.all(Array.from({ length: 20 }, () => shortStep(other, 1)))
  report.isSameAtOnce = isSerial(await allAtOnce(session))
  await learning
  await other.dispose()
  // 3) in workers, beside this thread
  const threadsBefore = threads()
  const answers = await Promise.all([allAtOnce(session), ...Array.from({ length: 4 }, inWorker)])
  report.isSameInWorkers = answers.every(isSerial)
  for (let i = 0; i < 8; i++) await inWorker()
  report.threadsMore = threads() - threadsBefore
  // 4) many lives of a model
  for (let i = 0; i < 50; i++) {
    const brief = await native.open(tinyConfig)
    await shortStep(brief, 0)
    await brief.dispose()
  }
  await session.dispose()
  report.stats = native.memoryStats()
  process.stdout.write(JSON.stringify(report))
}
