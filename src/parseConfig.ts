// parseConfig: the one door for options; checks them against a schema and says in plain words what is wrong.

import { z } from 'zod'
import { MergeError } from './errors.js'
import { didYouMean } from './hint.js'

/**
 * The options with their defaults filled in, or `ERR_CONFIG` with one line for each thing that is wrong:
 * `recipe.learnigRate: unknown key; did you mean "learningRate"?`, `editThreshold: expected 0..1, received 1.4`.
 *
 * `name` stands before the path of a key; empty for options that are an argument themselves.
 */
export function parseConfig<S extends z.ZodType>(schema: S, value: unknown, name: string): z.output<S> {
  const result = checkValue(schema, value, name)
  if (result.success) return result.data
  throw new MergeError('ERR_CONFIG', result.problems.join('\n'), { details: { issues: result.problems } })
}

/** What a schema says of a value: its data, or a sentence for each thing that is wrong. `name` as in `parseConfig`. */
export function checkValue<S extends z.ZodType>(
  schema: S,
  value: unknown,
  name: string,
): { readonly success: true; readonly data: z.output<S> } | { readonly success: false; readonly problems: string[] } {
  const result = schema.safeParse(value, { error: explain, reportInput: true })
  if (result.success) return { success: true, data: result.data }
  return { success: false, problems: result.error.issues.flatMap((issue) => sentences(issue, name)) }
}

/** A value as an error message shows it: short, and never more than one line. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string')
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))}...` : JSON.stringify(value)
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'function') return 'a function'
  return String(value)
}

// What was expected, where the schema has no words of its own.
function explain(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${typeWords[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `expected ${issue.values.map((value) => shown(value)).join(' or ')}`
    case 'unrecognized_keys': {
      const known = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : []
      return issue.keys.map((key) => `unknown key${didYouMean(key, known)}`).join('\n')
    }
    case 'too_small':
      return `expected at least ${issue.minimum}`
    case 'too_big':
      return `expected at most ${issue.maximum}`
    default:
      return issue.message ?? 'expected another value'
  }
}

const typeWords: Readonly<Record<string, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'a text',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
}

function sentences(issue: z.core.$ZodIssue, name: string): string[] {
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n')
    return issue.keys.map((key, index) => `${pathOf(name, [...issue.path, key])}: ${messages[index] ?? 'unknown key'}`)
  }
  if (issue.code === 'invalid_union') {
    const meant = deepest(issue.errors)
    if (meant !== undefined) {
      return meant.flatMap((inner) => sentences({ ...inner, path: [...issue.path, ...inner.path] }, name))
    }
  }
  const received = issue.code === 'custom' ? '' : `, received ${shown(issue.input)}`
  const path = pathOf(name, issue.path)
  return [`${path === '' ? '' : `${path}: `}${issue.message}${received}`]
}

// The alternative of a union that got furthest into the value is the one that was meant; none, if all failed at once.
function deepest(alternatives: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  let best: readonly z.core.$ZodIssue[] | undefined
  for (const issues of alternatives) {
    if (!issues.every((issue) => isInside(issue)) || issues.some((issue) => isMissingKey(issue))) continue
    if (best === undefined || issues.length < best.length) best = issues
  }
  return best
}

function isInside(issue: z.core.$ZodIssue): boolean {
  return issue.path.length > 0 || issue.code === 'unrecognized_keys'
}

function isMissingKey(issue: z.core.$ZodIssue): boolean {
  return issue.path.length === 1 && issue.code !== 'unrecognized_keys' && issue.input === undefined
}

function pathOf(name: string, path: readonly PropertyKey[]): string {
  let text = name
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else text += text === '' ? String(key) : `.${String(key)}`
  }
  return text
}

/** The options that were given: those that are `undefined` count as left out. */
export function givenOf<T extends object>(options: T): Partial<{ [K in keyof T]: Exclude<T[K], undefined> }>
export function givenOf(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
