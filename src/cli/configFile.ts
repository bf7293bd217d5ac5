// configFile: a run's configuration from JSON or YAML, with single values set on the command line.

import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { parse, YAMLParseError } from 'yaml'
import { MergeError } from '../errors.js'
import { parseConfig } from '../parseConfig.js'
import { type AnyRunConfig, type RunConfig, runConfig, runSchema } from '../training/runConfig.js'

/** A value on the command line: `recipe.learningRate=1e-3`; what stands behind `=` is read as YAML. */
export type Assignment = readonly [path: string, value: unknown]

/** Reads and checks the configuration of a run of any family; the assignments replace what the file says. */
export async function readAnyRunConfig(path: string, assignments: readonly Assignment[] = []): Promise<AnyRunConfig> {
  const file = assigned(await readConfigFile(path), assignments)
  return parseConfig(runSchema(file), file, '')
}

/** The same of a MERGE model. */
export async function readRunConfig(path: string, assignments: readonly Assignment[] = []): Promise<RunConfig> {
  return parseConfig(runConfig, assigned(await readConfigFile(path), assignments), '')
}

/** Parses an assignment. */
export function parseAssignment(flag: string, earlier: readonly Assignment[] = []): Assignment[] {
  const equals = flag.indexOf('=')
  if (equals < 1) {
    throw new MergeError(
      'ERR_CONFIG',
      `set: expected <key>=<value>, such as recipe.minutes=2, received ${JSON.stringify(flag)}`,
    )
  }
  return [...earlier, [flag.slice(0, equals), parseYaml(flag.slice(equals + 1), `set ${flag.slice(0, equals)}`)]]
}

async function readConfigFile(path: string): Promise<unknown> {
  const ending = extname(path).toLowerCase()
  if (!['.json', '.yaml', '.yml'].includes(ending)) {
    throw new MergeError('ERR_CONFIG', `config: expected a .json, .yaml or .yml file, received ${path}`)
  }
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new MergeError('ERR_CONFIG', `config: expected a readable file, received ${path}`, { cause })
  })
  return ending === '.json' ? parsedJson(text, path) : parseYaml(text, path)
}

function parsedJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new MergeError('ERR_CONFIG', `${path}: expected JSON (${cause instanceof Error ? cause.message : cause})`, {
      cause,
    })
  }
}

/** A value written in YAML; `place` stands before what is wrong with it. */
export function parseYaml(text: string, place: string): unknown {
  try {
    const value: unknown = parse(text, { prettyErrors: true })
    return value
  } catch (cause) {
    if (!(cause instanceof YAMLParseError)) throw cause
    throw new MergeError('ERR_CONFIG', `${place}: expected YAML (${cause.message.split('\n')[0]?.replace(/:$/, '')})`, {
      cause,
    })
  }
}

// A copy with the values put in; objects on the way are made where they are missing.
function assigned(config: unknown, assignments: readonly Assignment[]): unknown {
  return assignments.reduce((current, [path, value]) => put(current, path.split('.'), value), config)
}

function put(config: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value
  const entries = new Map<string, unknown>(typeof config === 'object' && config !== null ? Object.entries(config) : [])
  entries.set(key, put(entries.get(key), rest, value))
  return Object.fromEntries(entries)
}
