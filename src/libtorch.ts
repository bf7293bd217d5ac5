// Which libtorch this process uses: the one the addon was built against, or MERGE_LM_LIBTORCH of the same minor version.
import { readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Inspected, inspectLibtorch } from '../scripts/libtorch.mjs'
import { MergeError } from './errors.js'

/** Where the build puts core.node, loader.node and libtorch.json. */
export const releaseFolder = fileURLToPath(new URL('../build/Release/', import.meta.url))

/** A libtorch to load. */
export interface ChosenLibtorch {
  /** Folder with include/ and lib/. */
  readonly root: string
  /** For example `2.13.0`. */
  readonly version: string
  /** How it was found: `MERGE_LM_LIBTORCH`, `package cache`, `pip`, ... */
  readonly how: string
}

/** Exports of loader.node (native/addon/loader.cc). */
export interface Loader {
  /** Opens a shared library by absolute path and keeps it open. */
  open(path: string): void
  /** The libtorch that is loaded in this process. */
  loaded(): { readonly version?: string; readonly path?: string } | undefined
}

/**
 * Chooses the libtorch to load. `MERGE_LM_LIBTORCH` wins over the one recorded by the build, but must have the same
 * major and minor version, because libtorch's C++ interface changes between minors.
 */
export function chooseLibtorch(
  built: ChosenLibtorch,
  override: string | undefined,
  inspect: (folder: string) => Inspected = inspectLibtorch,
): ChosenLibtorch {
  const named = override !== undefined && override !== ''
  const found = inspect(named ? override : built.root)
  const place = found.root ?? built.root
  if (found.problem !== undefined || found.root === undefined || found.version === undefined) {
    const thing = named ? 'MERGE_LM_LIBTORCH' : 'libtorch'
    const mend = named ? '' : '; run `npm run build` again'
    throw new MergeError(
      named ? 'ERR_CONFIG' : 'ERR_DEVICE',
      `${thing}: expected a libtorch ${minorOf(built.version)}, received ${place}: ${found.problem ?? 'unreadable'}${mend}`,
      { details: { root: place } },
    )
  }
  if (minorOf(found.version) !== minorOf(built.version)) {
    throw new MergeError(
      named ? 'ERR_CONFIG' : 'ERR_DEVICE',
      `${named ? 'MERGE_LM_LIBTORCH' : 'libtorch'}: expected version ${minorOf(built.version)}.x, which the addon was ` +
        `built against, received ${found.version} in ${place}; build again with it or unset it`,
      { details: { root: place, version: found.version } },
    )
  }
  return { root: found.root, version: found.version, how: named ? 'MERGE_LM_LIBTORCH' : built.how }
}

/** Reads what the build recorded (build/Release/libtorch.json). */
export function builtLibtorch(folder: string = releaseFolder): ChosenLibtorch {
  const path = join(folder, 'libtorch.json')
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new MergeError('ERR_DEVICE', 'native addon: expected a finished build, received none; run `npm run build`', {
      cause,
      details: { path },
    })
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'root' in value &&
    typeof value.root === 'string' &&
    'version' in value &&
    typeof value.version === 'string' &&
    'how' in value &&
    typeof value.how === 'string'
  ) {
    return { root: value.root, version: value.version, how: value.how }
  }
  throw new MergeError('ERR_DEVICE', `${path}: expected root, version and how; run \`npm run build\` again`)
}

/**
 * Loads the chosen libtorch by absolute path, so that core.node finds it and no other, and checks that it is the one
 * this process really uses. Call it once before core.node is loaded.
 */
export function openLibtorch(loader: Loader, chosen: ChosenLibtorch): ChosenLibtorch {
  try {
    loader.open(join(chosen.root, 'lib', 'libtorch.so'))
  } catch (cause) {
    throw new MergeError('ERR_DEVICE', `libtorch: ${openProblem(cause)}`, { cause, details: { root: chosen.root } })
  }
  const loaded = loader.loaded()
  const isChosen =
    loaded?.path !== undefined &&
    loaded.version === chosen.version &&
    realpathSync(loaded.path) === realpathSync(join(chosen.root, 'lib', 'libtorch_cpu.so'))
  if (!isChosen) {
    throw new MergeError(
      'ERR_DEVICE',
      `libtorch: expected ${chosen.version} of ${chosen.root}, received ${loaded?.version ?? 'unknown'} of ` +
        `${loaded?.path ?? 'nowhere'}, which something else in this process had loaded before`,
      { details: { chosen, loaded } },
    )
  }
  return chosen
}

function openProblem(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  const missing = /^([^\s:]+\.so[.\d]*): cannot open shared object file/.exec(text)?.[1]
  if (missing === undefined) return text
  const isNvidia = /^lib(cu|nv|nccl)/.test(missing)
  return isNvidia
    ? `expected ${missing} beside this CUDA build (its NVIDIA packages), received none; install torch with its dependencies`
    : `${missing} cannot be opened`
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}
