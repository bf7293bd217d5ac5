// PeerProcess: another program that does the same work: a script that answers one line of JSON for each it is given.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { MergeError } from '../errors.js'

/** What a peer says when it is ready. */
const hello = z.object({ versions: z.record(z.string(), z.string()) })

const refusal = z.object({ error: z.string() })
const answer = z.looseObject({ seconds: z.number(), peakMemoryMb: z.number().optional() })
export type PeerAnswer = z.output<typeof answer>

/** Where the scripts lie, of a clone and of an installed package alike. */
const folder = new URL('../../bench/peers/', import.meta.url)

/** The Python that peers run on. */
export const peerPython = (): string => process.env.MERGE_LM_BENCH_PYTHON || 'python3'

/** Why this Python cannot run a peer; undefined where it can. */
export function missingModules(modules: readonly string[], python = peerPython()): string | undefined {
  const program = `import importlib.util as u, sys\nprint(*[m for m in sys.argv[1:] if u.find_spec(m) is None])`
  const done = spawnSync(python, ['-c', program, ...modules], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  if (done.status !== 0) return `${python} cannot be run`
  const missing = done.stdout.trim()
  return missing === '' ? undefined : `${python} has no ${missing.split(' ').join(', ')}`
}

/** A peer that runs. Its standard error is ours. */
export class PeerProcess {
  readonly versions: Readonly<Record<string, string>>
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  readonly #script: string

  private constructor(child: ChildProcessWithoutNullStreams, lines: AsyncIterator<string>, script: string) {
    this.#child = child
    this.#lines = lines
    this.#script = script
    this.versions = {}
  }

  /** Starts a script of bench/peers (.py or .mjs) with its options, and waits until it is ready. */
  static async start(script: string, options: Readonly<Record<string, unknown>>): Promise<PeerProcess> {
    const child = spawn(
      script.endsWith('.mjs') ? process.execPath : peerPython(),
      [fileURLToPath(new URL(script, folder)), JSON.stringify(options)],
      {
        // As the engine does: threads that spin while they wait slow down everything beside them.
        env: { OMP_WAIT_POLICY: 'PASSIVE', ...process.env },
        // A group of its own: Ctrl-C is ours to handle. When we end, so does its input, and with it the peer.
        detached: true,
      },
    )
    child.stderr.pipe(process.stderr)
    // What is written to one that ended is reported by the answer that does not come.
    child.stdin.on('error', () => undefined)
    child.on('error', () => undefined)
    const peer = new PeerProcess(child, createInterface({ input: child.stdout })[Symbol.asyncIterator](), script)
    const { versions } = hello.parse(await peer.#line())
    Object.assign(peer.versions, versions)
    return peer
  }

  /** Sends a request and waits for its answer. */
  async ask(request: Readonly<Record<string, unknown>>): Promise<PeerAnswer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    const line = await this.#line()
    const refused = refusal.safeParse(line)
    if (refused.success) throw new MergeError('ERR_DEVICE', `bench/peers/${this.#script}: ${refused.data.error}`)
    return answer.parse(line)
  }

  async dispose(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'close')
    this.#child.stdin.end()
    this.#child.kill()
    await ended
  }

  async #line(): Promise<unknown> {
    const { value, done } = await this.#lines.next()
    if (done === true) {
      throw new MergeError('ERR_DEVICE', `bench/peers/${this.#script}: ended without an answer; see what it says above`)
    }
    return JSON.parse(value)
  }
}
