// The ways a process with the addon can end; `node exitShapes.mjs <shape>`. Prints `ready` where the end begins.
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { longStep, shortStep, startNative, tinyConfig } from './tinyModel.mjs'

const program = fileURLToPath(import.meta.url)
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const ready = () => process.stdout.write('ready\n')

async function openTiny() {
  const native = await startNative()
  return { native, session: await native.open(tinyConfig) }
}

// A step that is certainly running, and whose rejection nobody minds.
async function running() {
  const { native, session } = await openTiny()
  longStep(session).catch(() => {})
  await later(50)
  return { native, session }
}

function inWorker(life) {
  return new Worker(program, { workerData: life })
}

function ended(worker) {
  return new Promise((resolve) => {
    worker.on('error', () => {})
    worker.on('exit', resolve)
  })
}

async function finishWorker(life, expectedCode) {
  const code = await ended(inWorker(life))
  if (code !== expectedCode) throw new Error(`worker ${life}: expected ${expectedCode}, received ${code}`)
}

async function terminateWorker(life, afterMs) {
  const worker = inWorker(life)
  const end = ended(worker)
  await new Promise((resolve) => worker.once('message', resolve))
  await later(afterMs)
  await worker.terminate()
  await end
}

/** What a worker does with its life. */
const lives = {
  async use() {
    const { session } = await openTiny()
    await shortStep(session)
    await session.dispose()
  },
  async useAndKeep() {
    const { session } = await openTiny()
    await shortStep(session)
  },
  async exit() {
    await running()
    process.exit(5)
  },
  async throwError() {
    await running()
    throw new Error('on purpose')
  },
  async idle() {
    const { session } = await openTiny()
    parentPort.postMessage('up')
    setInterval(() => session, 1000)
  },
  async busy() {
    await running()
    parentPort.postMessage('up')
    setInterval(() => {}, 1000)
  },
  async opening() {
    const native = await startNative()
    for (let i = 0; i < 20; i++) native.open(tinyConfig).catch(() => {})
    parentPort.postMessage('up')
    setInterval(() => {}, 1000)
  },
  async failing() {
    const { session } = await openTiny()
    parentPort.postMessage('up')
    // Calls that reject all the time, so that the end comes between them.
    for (;;) await session.load('/nowhere', 'model').catch(() => {})
  },
}

const shapes = {
  async 'return, idle'() {
    const { session } = await openTiny()
    await shortStep(session)
    await session.dispose()
    ready()
  },
  async 'return, not disposed'() {
    const { session } = await openTiny()
    await shortStep(session)
    ready()
  },
  async 'return with a call in flight'() {
    const { session } = await openTiny()
    shortStep(session, 200)
    ready()
  },
  async 'process.exit, idle'() {
    await openTiny()
    ready()
    process.exit(3)
  },
  async 'process.exit in a callback'() {
    const { session } = await openTiny()
    shortStep(session).then(() => {
      ready()
      process.exit(3)
    })
  },
  async 'process.exit with a call in flight'() {
    await running()
    ready()
    process.exit(3)
  },
  async 'process.exit while opening'() {
    const native = await startNative()
    native.open(tinyConfig)
    ready()
    process.exit(3)
  },
  async 'process.exit with a full queue'() {
    const { session } = await running()
    for (let i = 0; i < 200; i++) shortStep(session).catch(() => {})
    ready()
    process.exit(3)
  },
  async 'uncaught throw'() {
    await running()
    ready()
    setImmediate(() => {
      throw new Error('on purpose')
    })
  },
  async 'unhandled rejection'() {
    const { session } = await running()
    ready()
    session.load('', 'model')
  },
  async 'calls inside an exit listener'() {
    const { native, session } = await running()
    process.on('exit', () => {
      session.dispose().catch(() => {})
      native.open(tinyConfig).catch(() => {})
    })
    ready()
    process.exit(3)
  },
  async 'signal, no handler'() {
    await running()
    ready()
    await later(60_000)
  },
  async 'signal, handler exits'() {
    process.on('SIGTERM', () => process.exit(143))
    process.on('SIGINT', () => process.exit(130))
    await running()
    ready()
    await later(60_000)
  },
  async 'worker ends, then main'() {
    await finishWorker('use', 0)
    await finishWorker('useAndKeep', 0)
    await lives.use()
    ready()
  },
  async 'worker exits with a call in flight'() {
    await finishWorker('exit', 5)
    ready()
  },
  async 'worker throws with a call in flight'() {
    await finishWorker('throwError', 1)
    ready()
  },
  async 'worker.terminate, idle'() {
    await terminateWorker('idle', 20)
    ready()
  },
  async 'worker.terminate, running'() {
    await terminateWorker('busy', 20)
    ready()
  },
  async 'worker.terminate, opening'() {
    await terminateWorker('opening', 2)
    ready()
  },
  async 'worker.terminate, failing'() {
    for (let i = 0; i < 4; i++) await terminateWorker('failing', 5 * i)
    ready()
  },
  async 'process.exit beside a running worker'() {
    const worker = inWorker('busy')
    await new Promise((resolve) => worker.once('message', resolve))
    ready()
    process.exit(3)
  },
  async 'twenty workers in sequence'() {
    for (let i = 0; i < 20; i++) await finishWorker(i % 2 === 0 ? 'use' : 'useAndKeep', 0)
    const { native } = await openTiny()
    const { sessions } = native.memoryStats()
    if (sessions !== 1) throw new Error(`sessions: expected 1, received ${sessions}`)
    ready()
  },
  async 'eight workers at once'() {
    await Promise.all(Array.from({ length: 8 }, () => finishWorker('useAndKeep', 0)))
    ready()
  },
  async 'garbage collected while in use'() {
    const native = await startNative()
    for (let i = 0; i < 40; i++) {
      let session = await native.open(tinyConfig)
      const step = shortStep(session, 1)
      session = undefined
      globalThis.gc()
      await step
      globalThis.gc()
    }
    for (let i = 0; i < 50 && native.memoryStats().sessions > 1; i++) {
      globalThis.gc()
      await later(10)
    }
    const { sessions } = native.memoryStats()
    if (sessions > 1) throw new Error(`sessions: expected at most 1, received ${sessions}`)
    ready()
    globalThis.gc()
  },
}

/** Names of all shapes, for the test. */
export const shapeNames = Object.keys(shapes)

if (!isMainThread && workerData in lives) await lives[workerData]()
else if (process.argv[1] === program) await shapes[process.argv[2]]()
