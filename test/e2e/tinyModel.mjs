// A model of a few kilobytes for child processes: thousands of runs are affordable.
// It imports the built package; its step also carries `sleepMs` for the test double of the engine.

const { loadNative } = await import(new URL('../../dist/native.js', import.meta.url))

/** All fields of the record that opens a session. */
export const tinyConfig = {
  family: 'merge',
  profile: 'aligned',
  vocabulary: 300,
  width: 32,
  layers: 2,
  heads: 4,
  keyHeads: 4,
  feedForward: 64,
  maxLength: 32,
  maxInsert: 4,
  localMix: 3,
  positions: 'rope',
  norm: 'rms',
  normPlace: 'before',
  embeddingNorm: false,
  biases: 'none',
  activation: 'swiglu',
  head: 'tied',
  attentionWindow: 0,
  globalEvery: 1,
  localRopeBase: 10_000,
  activationCheckpointing: false,
  ropeBase: 10_000,
  normEpsilon: 1e-5,
  deleter: 'block',
  inserter: 'block',
  countSource: 'counts',
  gateFeatures: 'doubt',
  condition: 'none',
  encodings: 'two',
  pad: 260,
  bos: 256,
  eos: 257,
  mask: 258,
  sep: 259,
  dtype: 'float32',
  device: 'cpu',
  matmulPrecision: 'highest',
  seed: 1,
}

/** All fields of a step's record. */
export const tinyStep = {
  step: 0,
  task: 'merge',
  frozenLayers: 0,
  maskFrom: 0.15,
  maskTo: 0.5,
  seed: 7,
  rounds: 1,
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  clip: 1,
  weightRecon: 1,
  weightCompression: 0.5,
  weightPointer: 0.5,
  weightGate: 0.1,
  weightLength: 0.1,
  keepReduction: 0.2,
  keepKl: 0.1,
  countSmoothing: 0.01,
  scoreEntropy: 1e-3,
  gateCost: 0.05,
  labelSmoothing: 0,
  gateNoise: 0,
  ownDeletion: 0.5,
  subsequence: 0.5,
  ownFill: 0.5,
  accumulation: 1,
  gradient: 'stop',
  window: 1,
  deletion: 'hard',
  firstRound: 'gate',
  editThreshold: 0.5,
  axePenalty: 1,
  reconstruction: 'oracle',
  temperature: 1,
}

/** All fields of a refinement round's options. */
export const tinyRound = {
  mode: 'edit',
  editThreshold: 0.5,
  keepThreshold: 0.5,
  fillThreshold: 0,
  fillShare: 0,
  generation: -1,
  countSource: 'counts',
  lengthRatio: 1,
  targetLength: 32,
  temperature: 0,
  topK: 0,
  topP: 1,
  seed: 3,
  round: 0,
  maxLength: 32,
  shift: -1,
}

/** Packs rows of token ids. */
export function packed(rows) {
  const offsets = [0]
  for (const row of rows) offsets.push(offsets.at(-1) + row.length)
  return { tokens: Int32Array.from(rows.flat()), offsets: Int32Array.from(offsets) }
}

/** `count` rows of `length` tokens. */
export function filledRows(count, length) {
  return packed(Array.from({ length: count }, (_, row) => Array.from({ length }, (_, i) => (row * 31 + i * 7) % 250)))
}

/** Loads the addon and starts its thread. */
export async function startNative() {
  const native = await loadNative()
  await native.start(1)
  return native
}

/** A step that takes many seconds if nobody cancels it: one row a micro-batch, 8 rounds. */
export function longStep(session) {
  const rows = 4096
  const step = { ...tinyStep, rounds: 8, accumulation: rows, sleepMs: 30_000 }
  return session.trainStep(step, filledRows(rows, 24), filledRows(rows, 24))
}

/** A step of a few milliseconds. */
export function shortStep(session, sleepMs = 5) {
  return session.trainStep({ ...tinyStep, sleepMs }, filledRows(2, 8), filledRows(2, 9))
}
