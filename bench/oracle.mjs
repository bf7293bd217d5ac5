// `npm run bench:oracle`: the native edit oracle against a plain dynamic programme in JavaScript, 128 rows of 256 tokens.
// The plain one finds a longest common subsequence, without the oracle's rule for ties. Prints one JSON object;
// milliseconds, the best of several runs each.
import { cpus } from 'node:os'
import { randomFrom } from 'merge-lm'
import { loadNative } from '../dist/native.js'

const rows = 128
const length = 256
const runs = 15

function plain(x, y) {
  const stride = y.length + 1
  const common = new Int32Array((x.length + 1) * stride)
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      const here = i * stride + j
      common[here] = x[i] === y[j] ? common[here + stride + 1] + 1 : Math.max(common[here + stride], common[here + 1])
    }
  }
  const matches = new Int32Array(x.length).fill(-1)
  for (let i = 0, j = 0; i < x.length && j < y.length; ) {
    const here = i * stride + j
    if (x[i] === y[j]) matches[i++] = j++
    else if (common[here + stride] >= common[here + 1]) i++
    else j++
  }
  return matches
}

// Rows of random tokens, and what they should become: other random tokens, or the same with a share of them changed,
// every tenth change a loss and every tenth a gain.
function batch(symbols, changed) {
  const random = randomFrom(1, 0, 0, `oracle bench ${symbols} ${changed}`)
  return Array.from({ length: rows }, () => {
    const y = Int32Array.from({ length }, () => random.integer(symbols))
    const x = []
    for (const token of y) {
      if (random.next() >= changed) x.push(token)
      else if (random.next() < 0.8) x.push(random.integer(symbols))
      else if (random.next() < 0.5) x.push(token, random.integer(symbols))
    }
    while (x.length < length) x.push(random.integer(symbols))
    return { x: Int32Array.from(x.slice(0, length)), y }
  })
}

function packed(all) {
  const offsets = new Int32Array(all.length + 1)
  const tokens = new Int32Array(all.length * length)
  all.forEach((row, r) => {
    offsets[r + 1] = offsets[r] + row.length
    tokens.set(row, offsets[r])
  })
  return { tokens, offsets }
}

async function best(call) {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    await call()
    least = Math.min(least, performance.now() - start)
  }
  return least
}

const matched = (matches) => matches.reduce((count, j) => count + (j >= 0 ? 1 : 0), 0)

const native = await loadNative()
await native.start(Number(process.argv[2] ?? cpus().length))
const { threads } = await native.info()
const table = []
for (const [name, symbols, changed] of [
  ['20 % changed, 8,000 symbols', 8000, 0.2],
  ['20 % changed, 60 symbols', 60, 0.2],
  ['random, 60 symbols', 60, 1],
  ['random, 4 symbols', 4, 1],
]) {
  const pairs = batch(symbols, changed)
  const x = packed(pairs.map((pair) => pair.x))
  const y = packed(pairs.map((pair) => pair.y))
  const arrays = { x: x.tokens, xOffsets: x.offsets, y: y.tokens, yOffsets: y.offsets }
  const { matches } = await native.runOp('align', {}, arrays)
  pairs.forEach((pair, r) => {
    const found = matched(matches.subarray(x.offsets[r], x.offsets[r + 1]))
    if (found !== matched(plain(pair.x, pair.y))) throw new Error(`${name}, row ${r}: lengths differ`)
  })
  const nativeMs = await best(() => native.runOp('align', {}, arrays))
  const plainMs = await best(() => {
    for (const pair of pairs) plain(pair.x, pair.y)
  })
  const digits = (value) => Number(value.toFixed(2))
  table.push({ rows: name, nativeMs: digits(nativeMs), plainMs: digits(plainMs), times: digits(plainMs / nativeMs) })
}
console.log(JSON.stringify({ cpu: cpus()[0]?.model, threads, count: rows, length, table }, null, 2))
