// The border: the only file that loads the native addon. Its types mirror native/engine.h.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { type ErrorCode, errorCodes, MergeError } from './errors.js'
import { builtLibtorch, chooseLibtorch, type Loader, openLibtorch, releaseFolder } from './libtorch.js'

/** A flat record of numbers, flags and words; the engine refuses a missing field. */
export type NativeRecord = Readonly<Record<string, number | boolean | string>>

/** Ragged rows, packed: row `r` is `tokens.subarray(offsets[r], offsets[r + 1])`. */
export interface NativeRows {
  readonly tokens: Int32Array
  readonly offsets: Int32Array
}

/** `RoundOutput` of native/engine.h. */
export interface NativeRound extends NativeRows {
  /** Index of each token within its input row, -1 where it was inserted. */
  readonly source: Int32Array
  /** Probability of each token that was filled in this round, 1 where it was kept, 0 of a mask that waits. */
  readonly confidence: Float32Array
  /** Keep probability of each input token. */
  readonly keep: Float32Array
  /** Gate probability per row. */
  readonly gate: Float32Array
  /** 1 where the edit path ran, per row. */
  readonly edited: Uint8Array
  /** 1 where insertions were cut at `maxLength`, per row. */
  readonly truncated: Uint8Array
  readonly encoderPasses: number
}

/** `CachedRows` of native/engine.h: rows that are read behind what a generation remembers of them. */
export interface NativeCachedRows extends NativeRows {
  /** Any number; a generation begins with its first call. */
  readonly generation: number
  /** Of each token. */
  readonly positions: Int32Array
  /** Where the generation keeps each row; all different. */
  readonly slots: Int32Array
}

/** `DenoiseOutput` of native/engine.h. */
export interface NativeDenoise {
  /** The blocks after the step. */
  readonly tokens: Int32Array
  /** The token that stands or would stand at each position. */
  readonly candidate: Int32Array
  /** Confidence of each position by the source: 0..1, margins -1..1, logits as they are. */
  readonly confidence: Float32Array
  /** What was ranked. */
  readonly score: Float32Array
  /** Of the candidate under the token stream; 0 where the head was not asked. */
  readonly probability: Float32Array
}

/** `NextInput` of native/engine.h: what each slot of a generation has not read yet. */
export interface NativeUnread extends NativeRows {
  /** Any number; a generation begins with its first call. */
  readonly generation: number
  /** Where the generation keeps each row; all different. */
  readonly slots: Int32Array
}

/** `NextOutput` of native/engine.h: what each row got. */
export interface NativeNext extends NativeRows {
  /** Of each token, at temperature 1. */
  readonly probability: Float32Array
}

/** `LengthOutput` of native/engine.h: for each row, the most probable length first. */
export interface NativeLengths {
  readonly lengths: Int32Array
  readonly probability: Float32Array
}

/** `WeightPieces` of native/engine.h: tensors of a file of another layout, pairwise with the rows of parameters they are. */
export interface NativePieces {
  readonly tensors: readonly string[]
  readonly parameters: readonly string[]
  /** First row of the parameter. */
  readonly begins: Int32Array
  readonly rows: Int32Array
}

/** `Trajectory` of native/engine.h: prompts and finished answers, and how the answers came to be. */
export interface NativeTrajectory extends NativeRows {
  /** Tokens of each prompt. */
  readonly prompts: Int32Array
  /** Denoising steps, S. */
  readonly steps: number
  /** The answers of all rows before each step. [S x A] */
  readonly states: Int32Array
  /** Place of each position in the ordered set of the step, -1 outside. [S x A] */
  readonly ranks: Int32Array
  /** Ids that were never written, beside the mask. */
  readonly forbidden: Int32Array
  /** `advantage` of each row; `oldToken`, `oldSet`, `referenceToken`, `referenceSet` of each step and block. */
  readonly columns: Readonly<Record<string, Float64Array>>
}

export interface NativeArray {
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** One tensor of another program's file and its part in one of ours; `WeightSource` of native/nn/weight_import.h. */
export interface NativeSource extends NativeRecord {
  readonly target: string
  /** Path of a safetensors file. */
  readonly file: string
  readonly tensor: string
  /** All rows; the first `rows`, new ones behind them; as many as fit; or its first row added to all so far. */
  readonly use: 'whole' | 'rows' | 'cut' | 'added'
  readonly rows: number
}

/** `Session` of native/engine.h; every method runs on the compute thread. */
export interface NativeSession {
  // Record train_step(const Record& step, const TrainBatch& batch)
  trainStep(
    step: NativeRecord,
    drafts: NativeRows,
    targets: NativeRows,
    conditions?: NativeRows,
  ): Promise<Record<string, number>>
  // Record evaluate(const Record& step, const TrainBatch& batch)
  evaluate(
    step: NativeRecord,
    drafts: NativeRows,
    targets: NativeRows,
    conditions?: NativeRows,
  ): Promise<Record<string, number>>
  // RoundOutput refine_round(const Record& options, const RoundInput& input)
  refineRound(
    options: NativeRecord,
    rows: NativeRows,
    locked: Uint8Array,
    open: Uint8Array,
    conditions?: NativeRows,
    parents?: Int32Array,
  ): Promise<NativeRound>
  // DenoiseOutput denoise(const Record& options, const DenoiseInput& input)
  denoise(
    options: NativeRecord,
    blocks: NativeCachedRows,
    fate: Uint8Array,
    forbidden: Int32Array,
    columns: Readonly<Record<string, Float64Array>>,
  ): Promise<NativeDenoise>
  // void remember(const CachedRows& input)
  remember(rows: NativeCachedRows): Promise<void>
  // void forget(int64_t generation, const std::vector<int32_t>& slots)
  forget(generation: number, slots: Int32Array): Promise<void>
  // NextOutput next_tokens(const Record& options, const NextInput& input)
  nextTokens(
    options: NativeRecord,
    unread: NativeUnread,
    stop: Int32Array,
    columns: Readonly<Record<string, Float64Array>>,
  ): Promise<NativeNext>
  // LengthOutput predict_lengths(const Record& options, const CachedRows& sources)
  predictLengths(options: NativeRecord, sources: NativeCachedRows): Promise<NativeLengths>
  // std::map<std::string, NamedArray> policy_logs(const Record& options, const Trajectory& run)
  policyLogs(options: NativeRecord, run: NativeTrajectory): Promise<Record<string, NativeArray>>
  // Record policy_step(const Record& step, const Trajectory& run)
  policyStep(step: NativeRecord, run: NativeTrajectory): Promise<Record<string, number>>
  // std::map<std::string, NamedArray> inspect(const Rows&, const std::vector<std::string>&)
  inspect(rows: NativeRows, outputs: readonly string[]): Promise<Record<string, NativeArray>>
  // std::map<std::string, NamedArray> inspect_behind(const Rows&, const Rows&, const std::string&, const std::vector<..>&)
  inspectBehind(
    prompts: NativeRows,
    rows: NativeRows,
    way: 'cached' | 'whole',
    outputs: readonly string[],
  ): Promise<Record<string, NativeArray>>
  // void save(const std::string& path, const std::string& part)
  save(path: string, part: 'model' | 'optimizer'): Promise<void>
  // void load(const std::string& path, const std::string& part)
  load(path: string, part: 'model' | 'optimizer'): Promise<void>
  // void read_pieces(const std::string& path, const WeightPieces& pieces)
  readPieces(path: string, pieces: NativePieces): Promise<void>
  // void write_pieces(const std::string& path, const WeightPieces& pieces, const std::string& dtype)
  writePieces(path: string, pieces: NativePieces, dtype: 'float32' | 'bfloat16'): Promise<void>
  // void draw(const std::vector<std::string>& parameters)
  draw(parameters: readonly string[]): Promise<void>
  // void import_weights(const std::vector<Record>& sources)
  importWeights(sources: readonly NativeSource[]): Promise<void>
  // std::vector<ParameterInfo> parameters()
  parameters(): Promise<{ name: string; shape: number[] }[]>
  // Record memory()
  memory(): Promise<Record<string, number>>
  /** Raises the cancel flag, waits for the running call, frees the model; later calls reject with ERR_DISPOSED. */
  dispose(): Promise<void>
}

export interface NativeAddon {
  /** Starts the process-wide compute thread with this many threads; a second call with another number is refused. */
  start(threads: number): Promise<void>
  // Session(const Record& config)
  open(config: NativeRecord): Promise<NativeSession>
  // Record engine_info()
  info(): Promise<Record<string, number | boolean | string>>
  /** Live sessions and native bytes of this process. */
  memoryStats(): { sessions: number; bytes: number; queued: number }
  // std::string train_bpe(...) of native/text/bpe_trainer.h
  trainBpe(
    words: readonly string[],
    counts: Int32Array,
    vocabularySize: number,
    minFrequency: number,
    specialTokens: readonly string[],
  ): Promise<string>
  // Arrays run_op(const std::string& name, const Record& options, const Arrays& arrays) of native/operation.h
  runOp(name: NativeOp, options: NativeRecord, arrays: NativeArrays): Promise<NativeArrays>
}

/** What `runOp` can do; native/operation.cc lists the arrays of each. */
export type NativeOp =
  | 'bernoulliSt'
  | 'pointerSt'
  | 'countsSt'
  | 'align'
  | 'literalRecon'
  | 'literalCompression'
  | 'literalPointer'
  | 'literalGate'
  | 'literalLength'
  | 'axe'
  | 'oaxe'
  | 'ctc'

/** Arrays by name, as `runOp` takes and gives them. */
export type NativeArrays = Readonly<Record<string, Int32Array | Float32Array | Float64Array>>

/**
 * Loads libtorch and the native addon on the first call; importing this package loads nothing.
 *
 * Sets `OMP_WAIT_POLICY=PASSIVE` before that, unless it is set: threads that spin while they wait slow down everything
 * beside them. A worker's `process.env` is a copy that native code does not see, so a program that loads the addon in
 * workers only should set it in the main thread, or in the shell.
 *
 * `MERGE_LM_ADDON` names another folder with core.node and loader.node, for example a build with sanitizers.
 *
 * @throws MergeError `ERR_DEVICE` with what was tried and how to mend it
 */
export function loadNative(): Promise<NativeAddon> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined
    throw error
  })
  return loading
}

let loading: Promise<NativeAddon> | undefined

async function load(): Promise<NativeAddon> {
  const named = process.env.MERGE_LM_ADDON
  const folder = named === undefined || named === '' ? releaseFolder : resolve(named)
  process.env.OMP_WAIT_POLICY ??= 'PASSIVE'
  // A build without loader.node is linked with all it needs.
  if (folder === releaseFolder || existsSync(join(folder, 'loader.node'))) {
    const chosen = chooseLibtorch(builtLibtorch(folder), process.env.MERGE_LM_LIBTORCH)
    openLibtorch(requireAddon(folder, 'loader.node') as Loader, chosen)
  }
  const addon = requireAddon(folder, 'core.node') as RawAddon
  // Before the process tears libtorch down, the engine must rest. A terminated worker runs no listener; the addon's own
  // clean-up hook does the same there.
  process.once('exit', () => addon.leave())
  return wrapAddon(addon)
}

// What core.node exports: errors carry `code` but are no MergeError yet.
interface RawAddon extends NativeAddon {
  // Rests this environment's part of the engine: cancels, drops what waits, waits for the running call.
  leave(): void
}

function requireAddon(folder: string, name: string): unknown {
  const path = join(folder, name)
  try {
    return createRequire(import.meta.url)(path)
  } catch (cause) {
    const reason = existsSync(path)
      ? String(cause instanceof Error ? cause.message : cause).split('\n')[0]
      : 'no such file'
    throw new MergeError('ERR_DEVICE', `native addon: ${path} cannot be loaded: ${reason}; run \`npm run build\``, {
      cause,
      details: { path },
    })
  }
}

function wrapAddon(addon: RawAddon): NativeAddon {
  return {
    start: (threads) => guarded(() => addon.start(threads)),
    open: (config) => guarded(async () => wrapSession(await addon.open(config))),
    info: () => guarded(() => addon.info()),
    memoryStats: () => addon.memoryStats(),
    trainBpe: (words, counts, vocabularySize, minFrequency, specialTokens) =>
      guarded(() => addon.trainBpe(words, counts, vocabularySize, minFrequency, specialTokens)),
    runOp: (name, options, arrays) => guarded(() => addon.runOp(name, options, arrays)),
  }
}

function wrapSession(session: NativeSession): NativeSession {
  return {
    trainStep: (...call) => guarded(() => session.trainStep(...call)),
    evaluate: (...call) => guarded(() => session.evaluate(...call)),
    refineRound: (...call) => guarded(() => session.refineRound(...call)),
    denoise: (options, blocks, fate, forbidden, columns) =>
      guarded(() => session.denoise(options, blocks, fate, forbidden, columns)),
    remember: (rows) => guarded(() => session.remember(rows)),
    forget: (generation, slots) => guarded(() => session.forget(generation, slots)),
    nextTokens: (options, unread, stop, columns) => guarded(() => session.nextTokens(options, unread, stop, columns)),
    predictLengths: (options, sources) => guarded(() => session.predictLengths(options, sources)),
    policyLogs: (options, run) => guarded(() => session.policyLogs(options, run)),
    policyStep: (step, run) => guarded(() => session.policyStep(step, run)),
    inspect: (rows, outputs) => guarded(() => session.inspect(rows, outputs)),
    inspectBehind: (prompts, rows, way, outputs) => guarded(() => session.inspectBehind(prompts, rows, way, outputs)),
    save: (path, part) => guarded(() => session.save(path, part)),
    load: (path, part) => guarded(() => session.load(path, part)),
    readPieces: (path, pieces) => guarded(() => session.readPieces(path, pieces)),
    writePieces: (path, pieces, dtype) => guarded(() => session.writePieces(path, pieces, dtype)),
    draw: (parameters) => guarded(() => session.draw(parameters)),
    importWeights: (sources) => guarded(() => session.importWeights(sources)),
    parameters: () => guarded(() => session.parameters()),
    memory: () => guarded(() => session.memory()),
    dispose: () => guarded(() => session.dispose()),
  }
}

// Native errors are made on the event loop, where no caller is left on the stack; so the stack is taken here.
async function guarded<T>(call: () => Promise<T>): Promise<T> {
  const trace = { stack: '' }
  Error.captureStackTrace(trace, guarded)
  try {
    return await call()
  } catch (error) {
    throw toMergeError(error, trace.stack)
  }
}

// Anything without one of our codes was thrown by the caller's own code (a getter, a proxy) and stays as it is.
function toMergeError(error: unknown, trace: string): unknown {
  if (error instanceof MergeError || !(error instanceof Error) || !('code' in error)) return error
  const code = error.code as ErrorCode
  if (!errorCodes.includes(code)) return error
  const mapped = new MergeError(code, error.message)
  const frames = trace.split('\n').slice(1)
  Object.defineProperty(mapped, 'stack', {
    value: [`${mapped.name}: ${mapped.message}`, ...frames].join('\n'),
    writable: true,
    configurable: true,
  })
  return mapped
}
