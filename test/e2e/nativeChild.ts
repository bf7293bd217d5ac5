// Runs one of the .mjs programs beside this file in a child process, since only a child can show how a process ends.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a child ended. */
export interface Ending {
  /** Exit code, or null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly output: string
  readonly errors: string
  /** From the line `ready` (or the start, without one) to the end. */
  readonly exitMs: number
}

/** What to do with a child. */
export interface ChildOptions {
  readonly nodeArguments?: readonly string[]
  /** Sent when the child prints `ready`. */
  readonly signal?: NodeJS.Signals
  readonly timeoutMs?: number
  /** Working folder; a program may write there. */
  readonly cwd?: string
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `node <program> <arguments>` to its end; a child that hangs is killed and ends with SIGKILL. */
export function runChild(program: string, args: readonly string[], options: ChildOptions = {}): Promise<Ending> {
  const path = fileURLToPath(new URL(program, import.meta.url))
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  })
  let output = ''
  let errors = ''
  let readyAt = performance.now()
  let signal = options.signal
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (!/^ready$/m.test(output)) return
    if (/^ready$/m.test(text)) readyAt = performance.now()
    if (signal !== undefined) child.kill(signal)
    signal = undefined
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, endSignal) =>
      resolve({ code, signal: endSignal, output, errors, exitMs: performance.now() - readyAt }),
    )
  })
}
