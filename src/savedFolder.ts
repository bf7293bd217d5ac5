// Saved folder: exists whole or not at all; every file is hashed, and verified before anything is read.
//
// Write: `<name>.tmp-<pid>-<random>` (0700), each file fsynced, manifest.json with sizes and SHA-256, fsync of the folder,
// rename, fsync of the parent. Read: nothing is trusted by its name.

import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { MergeError } from './errors.js'
import { checkValue } from './parseConfig.js'

/** The file that names all others. */
export const manifestName = 'manifest.json'
const manifestMaxBytes = 1 << 20
const formatVersion = 1

const manifestSchema = z.strictObject({
  format: z.literal(formatVersion),
  kind: z.enum(['model', 'checkpoint']),
  step: z.int().min(0).optional(),
  files: z
    .array(
      z.strictObject({
        // A plain name: no folder, no way out of this one.
        name: z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/),
        bytes: z.int().min(0),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1),
})

/** What `manifest.json` says of a folder. */
export type Manifest = Readonly<z.output<typeof manifestSchema>>

/** What a folder is about to become. */
export interface FolderKind {
  readonly kind: Manifest['kind']
  /** Optimizer step, for a checkpoint. */
  readonly step?: number
}

/**
 * Writes a folder: `write` fills a temporary one, which takes the name `folder` only when it is whole. A folder of ours
 * that already has the name is replaced; anything else is left alone and refused.
 */
export async function writeFolder(
  folder: string,
  kind: FolderKind,
  write: (temporary: string) => Promise<void>,
): Promise<Manifest> {
  const target = resolve(folder)
  const parent = dirname(target)
  const temporary = `${target}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await refuseForeign(target)
    await mkdir(parent, { recursive: true })
    await mkdir(temporary, { mode: 0o700 })
    await write(temporary)
    const files = []
    for (const name of (await readdir(temporary)).sort()) files.push(await sealFile(join(temporary, name)))
    const manifest: Manifest = { format: formatVersion, ...kind, files }
    await writeFile(join(temporary, manifestName), jsonText(manifest))
    await sync(join(temporary, manifestName))
    await sync(temporary)
    await takeName(temporary, target)
    await sync(parent)
    return manifest
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    throw error instanceof MergeError
      ? error
      : checkpointError(target, `could not be written (${reasonOf(error)})`, error)
  }
}

/** Checks every file of a folder against its manifest, and gives the manifest; `ERR_CHECKPOINT` says what is wrong. */
export async function verifyFolder(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder)
  const names = new Set(manifest.files.map((file) => file.name))
  if (names.size !== manifest.files.length) throw checkpointError(folder, `${manifestName} names a file twice`)
  for (const file of manifest.files) {
    const path = join(folder, file.name)
    const found = await lstat(path).catch((cause: unknown) => {
      throw checkpointError(folder, `${file.name} is missing`, cause)
    })
    if (!found.isFile()) throw checkpointError(folder, `${file.name} is not a plain file`)
    if (found.size !== file.bytes) {
      const word = found.size < file.bytes ? 'truncated' : 'too long'
      throw checkpointError(folder, `${file.name} is ${word}: expected ${file.bytes} bytes, received ${found.size}`)
    }
    const sha256 = await hashFile(path).catch((cause: unknown) => {
      throw checkpointError(folder, `${file.name} could not be read (${reasonOf(cause)})`, cause)
    })
    if (sha256 !== file.sha256) {
      throw checkpointError(folder, `${file.name} is damaged: expected SHA-256 ${file.sha256}, received ${sha256}`)
    }
  }
  return manifest
}

/** A JSON file of a verified folder, checked against its schema. */
export async function readJson<S extends z.ZodType>(folder: string, name: string, schema: S): Promise<z.output<S>> {
  const text = await readFile(join(folder, name), 'utf8').catch((cause: unknown) => {
    throw checkpointError(folder, `${name} could not be read (${reasonOf(cause)})`, cause)
  })
  const result = checkValue(schema, parsedJson(text, folder, name), '')
  if (result.success) return result.data
  throw checkpointError(folder, `${name} is of another kind: ${result.problems.join('; ')}`)
}

/** Writes a JSON file into a folder that is being written. */
export async function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  await writeFile(join(folder, name), jsonText(value))
}

async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestName)
  const found = await lstat(path).catch((cause: unknown) => {
    throw checkpointError(folder, `expected a folder with ${manifestName}, received none`, cause)
  })
  if (!found.isFile() || found.size > manifestMaxBytes)
    throw checkpointError(folder, `${manifestName} is not a plain, small file`)
  const value = parsedJson(await readFile(path, 'utf8'), folder, manifestName)
  const version = z.looseObject({ format: z.number() }).safeParse(value)
  if (version.success && version.data.format > formatVersion) {
    throw checkpointError(
      folder,
      `format ${version.data.format} is newer than this version, which reads format ${formatVersion}`,
    )
  }
  const result = checkValue(manifestSchema, value, '')
  if (result.success) return result.data
  throw checkpointError(folder, `${manifestName} is not a manifest: ${result.problems.join('; ')}`)
}

// The rename is atomic where the name is free; a folder of ours that has it steps aside first.
async function takeName(temporary: string, target: string): Promise<void> {
  const aside = temporary.replace('.tmp-', '.old-')
  const replaced = await rename(target, aside).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    },
  )
  await rename(temporary, target)
  if (replaced) await rm(aside, { recursive: true, force: true })
}

async function refuseForeign(target: string): Promise<void> {
  const names = await readdir(target).catch((error: unknown): string[] => {
    if (errnoOf(error) === 'ENOENT') return []
    throw checkpointError(target, `expected a folder or a free name (${reasonOf(error)})`, error)
  })
  if (names.length > 0 && !names.includes(manifestName)) {
    throw checkpointError(
      target,
      'expected a free name, an empty folder or a saved model, received a folder with other files',
    )
  }
}

async function sealFile(path: string): Promise<Manifest['files'][number]> {
  await sync(path)
  const { size } = await lstat(path)
  return { name: basename(path), bytes: size, sha256: await hashFile(path) }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 19 })) hash.update(chunk)
  return hash.digest('hex')
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function parsedJson(text: string, folder: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw checkpointError(folder, `${name} is not JSON (${reasonOf(cause)})`, cause)
  }
}

/** An error about a saved folder. */
export function checkpointError(folder: string, what: string, cause?: unknown): MergeError {
  const details = { folder, ...(cause === undefined ? {} : { errno: errnoOf(cause) }) }
  return new MergeError('ERR_CHECKPOINT', `${folder}: ${what}`, { cause, details })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The system's word for what failed, such as ENOSPC. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
