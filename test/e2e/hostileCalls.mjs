// E.1: every function of the addon, every argument, every hostile value. Prints one JSON report.
import { filledRows, packed, startNative, tinyConfig, tinyRound, tinyStep } from './tinyModel.mjs'

// What a hostile value throws by itself; it must come through unchanged.
class Hostile extends Error {}

function detached() {
  const array = new Int32Array(4)
  structuredClone(array.buffer, { transfer: [array.buffer] })
  return array
}

const throwing = () => {
  throw new Hostile('on purpose')
}
const throwingProxy = () =>
  new Proxy({}, { get: throwing, ownKeys: throwing, getPrototypeOf: throwing, getOwnPropertyDescriptor: throwing })

/** Each is made anew for each call; `session` is the one under test. */
const hostileValues = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  'empty string': () => '',
  x: () => 'x',
  0: () => 0,
  '-0': () => -0,
  '-1': () => -1,
  1.5: () => 1.5,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-Infinity': () => Number.NEGATIVE_INFINITY,
  '2**31': () => 2 ** 31,
  '2**32 + 1': () => 2 ** 32 + 1,
  '2**53': () => 2 ** 53,
  '2**64': () => 2 ** 64,
  '1n': () => 1n,
  symbol: () => Symbol('hostile'),
  '{}': () => ({}),
  '{a: {}}': () => ({ a: {} }),
  '{a: NaN}': () => ({ a: Number.NaN }),
  '[]': () => [],
  '[[]]': () => [[]],
  'sparse array': () => new Array(2 ** 32 - 1),
  'array with a hole': () => Object.assign(new Array(3), { 0: 'a', 2: 'b' }),
  'array of numbers': () => [1, 2, 3],
  'array that shrinks': () => {
    const array = ['a', 'b', 'c']
    Object.defineProperty(array, 0, {
      get: () => {
        array.length = 1
        return 'a'
      },
    })
    return array
  },
  function: () => () => 1,
  class: () => class A {},
  'class instance': () => new (class A {})(),
  'throwing proxy': throwingProxy,
  'proxy of an array': () => new Proxy(['a'], {}),
  'throwing getter': () => Object.defineProperty({}, 'tokens', { get: throwing, enumerable: true }),
  'odd valueOf': () => ({ valueOf: () => 1, toString: () => 'model', [Symbol.toPrimitive]: throwing }),
  date: () => new Date(0),
  map: () => new Map([['tokens', 1]]),
  promise: () => Promise.resolve(1),
  'null prototype': () => Object.create(null),
  Int8Array: () => new Int8Array(5),
  Uint8Array: () => new Uint8Array(6),
  'Uint8Array of 7s': () => new Uint8Array(16).fill(7),
  Uint8ClampedArray: () => new Uint8ClampedArray(16),
  Int16Array: () => new Int16Array(5),
  Uint16Array: () => new Uint16Array(5),
  Int32Array: () => new Int32Array(5),
  Uint32Array: () => new Uint32Array(5),
  Float32Array: () => new Float32Array(5),
  Float64Array: () => new Float64Array(5),
  BigInt64Array: () => new BigInt64Array(5),
  DataView: () => new DataView(new ArrayBuffer(8)),
  ArrayBuffer: () => new ArrayBuffer(8),
  'detached array': detached,
  'resizable array': () => new Int32Array(new ArrayBuffer(16, { maxByteLength: 64 })),
  'resizable, shrunk': () => {
    const buffer = new ArrayBuffer(64, { maxByteLength: 64 })
    const array = new Int32Array(buffer, 16, 4)
    buffer.resize(8)
    return array
  },
  'shared array': () => new Int32Array(new SharedArrayBuffer(16)),
  'shared bytes': () => new Uint8Array(new SharedArrayBuffer(16)),
  'Buffer at an odd offset': () => Buffer.from([9, 0, 1, 0, 1]).subarray(1),
  'ten million numbers': () => new Int32Array(10_000_000),
  'high surrogate': () => '\ud800',
  'low surrogate': () => 'a\udc00b',
  'swapped surrogates': () => ['\udc00\ud800'],
  NUL: () => 'a\0b',
  'ten megabytes': () => 'x'.repeat(10_000_000),
  '<mask>': () => '<mask>',
  __proto__: () => JSON.parse('{"__proto__": {"polluted": 1}}'),
  session: (session) => session,
  'rows without offsets': () => ({ tokens: new Int32Array(3) }),
  'rows, no offsets': () => ({ tokens: new Int32Array(0), offsets: new Int32Array(0) }),
  'rows, first offset 1': () => ({ tokens: Int32Array.of(1), offsets: Int32Array.of(1, 1) }),
  'rows, negative offset': () => ({ tokens: Int32Array.of(1), offsets: Int32Array.of(0, -5, 1) }),
  'rows, falling offsets': () => ({ tokens: Int32Array.of(1, 2), offsets: Int32Array.of(0, 2, 1, 2) }),
  'rows, end too far': () => ({ tokens: Int32Array.of(1), offsets: Int32Array.of(0, 2 ** 31 - 1) }),
  'rows, end too near': () => ({ tokens: Int32Array.of(1, 2), offsets: Int32Array.of(0, 1) }),
  'rows, plain arrays': () => ({ tokens: [1], offsets: [0, 1] }),
  'rows, detached': () => ({ tokens: detached(), offsets: Int32Array.of(0, 4) }),
  'rows, a getter detaches': () => {
    const tokens = new Int32Array(4)
    const detach = () => {
      structuredClone(tokens.buffer, { transfer: [tokens.buffer] })
      return Int32Array.of(0, 4)
    }
    return Object.defineProperty({ tokens }, 'offsets', { get: detach })
  },
}

const rows = () =>
  packed([
    [1, 2, 3],
    [4, 5],
  ])
const round = (session) => session.refineRound(tinyRound, rows(), new Uint8Array(5), new Uint8Array(7))

/** A valid call of each function, as a list of arguments. */
const calls = (native, session) => ({
  start: [native.start, [1]],
  open: [native.open, [tinyConfig]],
  trainBpe: [native.trainBpe, [['ab', 'abc'], Int32Array.of(3, 2), 260, 1, ['<a>']]],
  runOp: [native.runOp, ['countsSt', {}, { expected: new Float64Array(3), offsets: Int32Array.of(0, 3) }]],
  trainStep: [session.trainStep, [tinyStep, rows(), rows()]],
  evaluate: [session.evaluate, [tinyStep, rows(), rows()]],
  refineRound: [session.refineRound, [tinyRound, rows(), new Uint8Array(5), new Uint8Array(7)]],
  inspect: [session.inspect, [rows(), ['hidden']]],
  save: [session.save, ['saved.safetensors', 'model']],
  load: [session.load, ['saved.safetensors', 'model']],
})

// A record's field gets only values that no record may hold; numbers are the engine's to judge.
const records = { open: 0, trainStep: 0, evaluate: 0, refineRound: 0 }
const fieldValues = [
  'undefined',
  'null',
  'NaN',
  'Infinity',
  '-Infinity',
  '1n',
  'symbol',
  '{}',
  '[]',
  'function',
  'date',
]

const report = { calls: 0, refused: 0, answered: [], untyped: [], messages: [] }

async function attempt(name, call) {
  report.calls += 1
  try {
    const result = await call()
    report.answered.push(name)
    // A session that was opened after all.
    if (typeof result?.dispose === 'function') await result.dispose()
  } catch (error) {
    if (error instanceof Hostile) return
    const isTyped = error?.name === 'MergeError' || error instanceof TypeError || error instanceof RangeError
    if (!isTyped) report.untyped.push(`${name}: ${String(error)}`)
    report.refused += 1
    report.messages.push(`${name}: ${error?.message}`)
  }
}

const native = await startNative()
const session = await native.open(tinyConfig)
await session.save('saved.safetensors', 'model')
const before = JSON.stringify(await round(session))

for (const [name, [, valid]] of Object.entries(calls(native, session))) {
  for (let index = 0; index < valid.length; index++) {
    for (const [value, make] of Object.entries(hostileValues)) {
      const [method, args] = calls(native, session)[name]
      // An empty argument list too: `undefined` and absent are the same to a caller.
      args[index] = make(session)
      await attempt(`${name}(${index}: ${value})`, () => method(...args))
    }
  }
  await attempt(`${name}()`, () => calls(native, session)[name][0]())
  if (!(name in records)) continue
  for (const field of Object.keys(valid[0])) {
    for (const value of fieldValues) {
      const [method, args] = calls(native, session)[name]
      args[0] = { ...args[0], [field]: hostileValues[value](session) }
      await attempt(`${name}.${field}: ${value}`, () => method(...args))
    }
  }
}

// The weights may have been trained by a call that was valid after all, so the file decides.
await session.load('saved.safetensors', 'model').catch(() => {})
report.isSame = before === JSON.stringify(await round(session))

// Ids outside the vocabulary, which only the engine knows.
for (const id of [-1, 300, 2 ** 31 - 1, -(2 ** 31)]) {
  const bad = packed([[1, id]])
  await attempt(`id ${id}: trainStep`, () => session.trainStep(tinyStep, bad, packed([[1]])))
  await attempt(`id ${id}: target`, () => session.evaluate(tinyStep, packed([[1]]), bad))
  await attempt(`id ${id}: round`, () => session.refineRound(tinyRound, bad, new Uint8Array(2), new Uint8Array(3)))
}
const long = filledRows(1, 33)
await attempt('too long: round', () => session.refineRound(tinyRound, long, new Uint8Array(33), new Uint8Array(34)))

// E.3: a view into a larger buffer is read where it lies.
const buffer = new ArrayBuffer(64)
const view = new Int32Array(buffer, 12, 5)
view.set([1, 2, 3, 4, 5])
const flags = new Uint8Array(new ArrayBuffer(32), 3, 5)
const viewed = { tokens: view, offsets: Int32Array.of(0, 3, 5) }
const there = await session.refineRound(tinyRound, viewed, flags, new Uint8Array(7))
report.isSameView = JSON.stringify(there) === JSON.stringify(await round(session))

// E.4: nothing of a polluted prototype is read or triggered.
Object.defineProperty(Object.prototype, 'tokens', { set: throwing, get: throwing, configurable: true })
Object.prototype.maxLength = 1e9
report.isSameAfterPollution = JSON.stringify(await round(session)) === JSON.stringify(there)
delete Object.prototype.maxLength
delete Object.prototype.tokens
report.isClean = {}.polluted === undefined

// E.5: an argument's getter disposes the session in whose call it is read.
let disposal
const treacherous = {
  get step() {
    disposal = session.dispose()
    return 1
  },
}
await attempt('disposing getter', () => session.trainStep(treacherous, rows(), rows()))
await disposal
await attempt('after dispose', () => session.memory())
report.engine = (await native.info()).libtorchVersion
report.stats = native.memoryStats()
process.stdout.write(JSON.stringify(report))
