// Rewards: what a completion is worth, for Remask-RL: any function, and the built-in ones.

import { spawn } from 'node:child_process'
import { resolve as resolvePath } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MergeError } from '../errors.js'
import type { Example } from '../text/example.js'
import type { RewardSpec } from './recipe.js'

/** The reward of a completion; `meta` is what the data say of the prompt, its example. Must be finite. */
export type Reward<Meta = unknown> = (prompt: string, completion: string, meta: Meta) => number | Promise<number>

/** What the built-in rewards read off the data. */
export interface Answered {
  readonly target: string
}

/** 1 where the completion is the answer, but for white space around it; else 0. */
export const exactMatch: Reward<Answered> = (_, completion, { target }) => (completion.trim() === target.trim() ? 1 : 0)

/** 1 where the last number of the completion is the last number of the answer, to `tolerance` relative; else 0. */
export function numeric(tolerance = 1e-6): Reward<Answered> {
  return (_, completion, { target }) => {
    const [found, wanted] = [lastNumber(completion), lastNumber(target)]
    if (found === undefined || wanted === undefined) return 0
    return Math.abs(found - wanted) <= tolerance * Math.max(1, Math.abs(wanted)) ? 1 : 0
  }
}

/** 1 where the pattern finds something in the completion; else 0. */
export function regex(pattern: RegExp): Reward {
  return (_, completion) => (completion.search(pattern) >= 0 ? 1 : 0)
}

/** 1 - edit distance / longer length, in characters: 1 where completion and answer are equal, 0 where nothing is. */
export const editDistance: Reward<Answered> = (_, completion, { target }) => {
  const longest = Math.max([...completion].length, [...target].length)
  return longest === 0 ? 1 : 1 - distance([...completion], [...target]) / longest
}

/** 1 up to `most` characters, then falling to 0 at twice as many. */
export function length(most: number): Reward {
  return (_, completion) => Math.min(1, Math.max(0, 2 - [...completion].length / most))
}

/** A command that judges: its exit code 0 is 1, anything else 0. */
export interface CommandOptions {
  readonly command: string
  readonly arguments?: readonly string[]
  /** Longer runs are ended and worth 0. Default 10,000. */
  readonly timeoutMs?: number
}

/**
 * Runs a command with the completion on its standard input, such as unit tests of generated code. It runs with the rights
 * of this process: put a sandbox around what you do not trust.
 */
export function command({ command: name, arguments: given = [], timeoutMs = 10_000 }: CommandOptions): Reward {
  return (prompt, completion) =>
    new Promise((resolve, reject) => {
      const child = spawn(name, given, {
        stdio: ['pipe', 'ignore', 'ignore'],
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        env: { ...process.env, MERGE_LM_PROMPT: prompt },
      })
      child.once('error', (cause) =>
        reject(new MergeError('ERR_INPUT', `reward: expected a command that starts, received ${name}`, { cause })),
      )
      child.once('close', (code) => resolve(code === 0 ? 1 : 0))
      // A command need not read its input.
      child.stdin.once('error', () => undefined)
      child.stdin.end(completion)
    })
}

/** The reward that a recipe names. A module is imported from the folder of the process. */
export async function rewardFrom(spec: RewardSpec): Promise<Reward<Example>> {
  if (spec === 'exactMatch') return exactMatch
  if (spec === 'numeric') return numeric()
  if (spec === 'editDistance') return editDistance
  if ('regex' in spec) return regex(new RegExp(spec.regex))
  if ('length' in spec) return length(spec.length)
  if ('command' in spec) return command(spec)
  return exportedReward(spec.module, spec.name)
}

async function exportedReward(module: string, name: string): Promise<Reward<Example>> {
  const path = resolvePath(module)
  const loaded: Readonly<Record<string, unknown>> = await import(pathToFileURL(path).href).catch((cause: unknown) => {
    throw new MergeError('ERR_CONFIG', `reward: expected a module, received ${path}: ${cause}`, { cause })
  })
  const found = loaded[name]
  if (isReward(found)) return found
  throw new MergeError('ERR_CONFIG', `reward: expected a function ${name} in ${path}, received ${typeof found}`)
}

// Its parameters and its result are the caller's word; a result that is no number is refused where it is used.
function isReward(value: unknown): value is Reward<Example> {
  return typeof value === 'function'
}

function lastNumber(text: string): number | undefined {
  const found = text
    .replaceAll(',', '')
    .match(/-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi)
    ?.at(-1)
  return found === undefined ? undefined : Number(found)
}

// Levenshtein, one row at a time.
function distance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  a.forEach((one, i) => {
    const next = [i + 1]
    b.forEach((other, j) => {
      const substituted = (row[j] ?? 0) + (one === other ? 0 : 1)
      next.push(Math.min(substituted, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    })
    row = next
  })
  return row[b.length] ?? 0
}
