// Runs the built command line in a child process, and makes the tiny model it works with.
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { MergeModel } from '../../src/model.js'
import { trainCharacterTokenizer } from '../../src/text/characterTokenizer.js'

/** The built command line. */
export const commandFile = resolve(import.meta.dirname, '../../dist/cli/main.js')

/** How a command ended. */
export interface CommandEnding {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** What to do with a command. */
export interface CommandOptions {
  readonly cwd: string
  /** Default: none, stdin is closed. */
  readonly input?: string
  /** Sends a signal each time stderr matches the next pattern. */
  readonly signals?: readonly { readonly after: RegExp; readonly signal: NodeJS.Signals }[]
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `merge-lm <args>` to its end. */
export function runCommand(args: readonly string[], options: CommandOptions): Promise<CommandEnding> {
  const child = spawn(process.execPath, [commandFile, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  })
  let output = ''
  let errors = ''
  const waiting = [...(options.signals ?? [])]
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
    const [next] = waiting
    if (next === undefined || !next.after.test(errors)) return
    waiting.shift()
    child.kill(next.signal)
  })
  // A command that ends before it reads is no error of the test.
  child.stdin.on('error', () => undefined).end(options.input ?? '')
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code) => done({ code, output, errors }))
  })
}

/** Saves a model of some thousand numbers. */
export async function saveTinyModel(folder: string): Promise<void> {
  const tokenizer = trainCharacterTokenizer(['The quick brown fox jumps over the lazy dog.'], { caseShift: true })
  const model = await MergeModel.create({
    ...{ layers: 1, width: 32, heads: 2, maxLength: 48, maxInsert: 2 },
    tokenizer,
    seed: 3,
    threads: 1,
  })
  try {
    await model.save(folder)
  } finally {
    await model.dispose()
  }
}

/** A run of a tiny model on three sentences. */
export const tinyRun = {
  data: { file: 'sentences.txt' },
  corruption: 'cleanUp',
  model: { layers: 1, width: 32, heads: 2, maxLength: 48, maxInsert: 2 },
  recipe: { steps: 4, saveEvery: 2, batchRows: 3 },
  folder: 'out',
}

/** Its sentences. */
export const tinySentences = 'The dog barks at the fox.\nA fox runs over the hill.\nWe saw the lazy dog.\n'
