// Peer of the encoder: onnxruntime-node on what encoder.py exports, with the rows and the answer that lie beside it. Options:
// { runtime: where onnxruntime-node is, folder, inputs: { name: shape }, threads }. Answers a line of JSON for each on stdin:
// {} -> { seconds, peakMemoryMb }.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const { runtime, folder, inputs, threads } = JSON.parse(process.argv[2])
const require = createRequire(import.meta.url)
const { InferenceSession, Tensor } = require(runtime)
const kinds = { tokens: ['int64', BigInt64Array], mask: ['bool', Uint8Array] }

/** Of what PyTorch finds; float32 in another order. */
const tolerance = 1e-3

function read(name, Kind) {
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder, name))
  return new Kind(buffer.slice(byteOffset, byteOffset + byteLength))
}

const feeds = Object.fromEntries(
  Object.entries(inputs).map(([name, shape]) => {
    const [type, Kind] = kinds[name] ?? ['float32', Float32Array]
    return [name, new Tensor(type, read(name, Kind), shape)]
  }),
)
const session = await InferenceSession.create(join(folder, 'encoder.onnx'), {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
})

// What computes something else is not timed.
const { hidden } = await session.run(feeds)
const wanted = read('hidden', Float32Array)
const off = wanted.reduce((most, value, index) => Math.max(most, Math.abs(value - hidden.data[index])), 0)
if (hidden.data.length !== wanted.length || !(off < tolerance)) throw new Error(`differs from PyTorch by ${off}`)

const { version } = require(`${runtime}/package.json`)
console.log(JSON.stringify({ versions: { 'onnxruntime-node': version } }))
for await (const _ of createInterface({ input: process.stdin })) {
  const start = performance.now()
  await session.run(feeds)
  const seconds = (performance.now() - start) / 1000
  console.log(JSON.stringify({ seconds, peakMemoryMb: process.resourceUsage().maxRSS / 1024 }))
}
