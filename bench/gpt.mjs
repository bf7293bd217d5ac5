// `node bench/gpt.mjs [--python FILE] [--pairs N] [--tokens N]`: tokens per second of greedy decoding with GptModel and with Hugging
// Face `generate` (bench/peers/), the same weights, prompts and threads, one after the other in turns. Prints one JSON
// object; medians, and the median of the pairs' ratios.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { GptModel, randomFrom } from 'merge-lm'

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    pairs: { type: 'string', default: '7' },
    tokens: { type: 'string', default: '112' },
    layers: { type: 'string', default: '4' },
    width: { type: 'string', default: '256' },
    vocabulary: { type: 'string', default: '8192' },
  },
})
const shape = {
  layers: Number(values.layers),
  width: Number(values.width),
  heads: 4,
  feedForward: 8 * Math.ceil(Number(values.width) / 3),
  vocabulary: Number(values.vocabulary),
  maxLength: 256,
  threads: 2,
}
const pairs = Number(values.pairs)
const promptTokens = 16
const newTokens = Number(values.tokens)

const folder = mkdtempSync(join(tmpdir(), 'merge-lm-bench-'))
const script = fileURLToPath(new URL('./peers/gpt.py', import.meta.url))
const peer = spawn(values.python, [script, JSON.stringify({ ...shape, folder })], {
  stdio: ['pipe', 'pipe', 'inherit'],
  // As the engine does: threads that spin while they wait slow down everything beside them.
  env: { OMP_WAIT_POLICY: 'PASSIVE', ...process.env },
})
const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()

async function answered() {
  const { value, done } = await lines.next()
  if (done) throw new Error(`${values.python} ${script}: ended; pip install -r bench/peers/requirements.txt`)
  return JSON.parse(value)
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1]
const rounded = (value) => Math.round(value * 100) / 100

async function measured(model, batch) {
  const random = randomFrom(1, batch)
  const rows = Array.from({ length: batch }, () =>
    Array.from({ length: promptTokens }, () => random.integer(shape.vocabulary)),
  )
  const prompts = rows.map((row) => ({ tokens: Int32Array.from(row) }))
  const ours = []
  const theirs = []
  let same = true
  for (let pair = -1; pair < pairs; pair++) {
    const start = performance.now()
    const answers = await model.generate(prompts, { maxNewTokens: newTokens, stopAtEndOfText: false })
    const seconds = (performance.now() - start) / 1000
    peer.stdin.write(`${JSON.stringify({ rows, newTokens })}\n`)
    const other = await answered()
    same &&= JSON.stringify(answers.map(({ tokens }) => [...tokens])) === JSON.stringify(other.tokens)
    // The first pair warms up.
    if (pair < 0) continue
    ours.push((batch * newTokens) / seconds)
    theirs.push((batch * newTokens) / other.seconds)
  }
  const ratios = ours.map((value, i) => value / theirs[i])
  return {
    batch,
    tokensPerSecond: rounded(median(ours)),
    peerTokensPerSecond: rounded(median(theirs)),
    ratio: rounded(median(ratios)),
    ratioSpread: [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))],
    sameTokens: same,
  }
}

try {
  const versions = await answered()
  const model = await GptModel.fromPretrained(folder, { threads: shape.threads })
  const results = []
  for (const batch of [1, 16]) results.push(await measured(model, batch))
  await model.dispose()
  const machine = { processor: cpus()[0]?.model, node: process.version, ...versions }
  process.stdout.write(`${JSON.stringify({ machine, shape, promptTokens, newTokens, pairs, results }, null, 2)}\n`)
} finally {
  peer.stdin.end()
  peer.kill()
  rmSync(folder, { recursive: true, force: true })
}
