// Interrupt: the first Ctrl-C asks a command to stop in good order, the second ends the process at once.

import { MergeError } from '../errors.js'
import { endingSignals, exitCodes } from './exitCode.js'

/** While it is held, the signals raise `signal` instead of ending the process. */
export interface Interrupt extends Disposable {
  readonly signal: AbortSignal
}

/** Takes SIGINT, SIGTERM and SIGHUP; `say` tells the reader what happens now. */
export function holdInterrupts(say: (signal: (typeof endingSignals)[number]) => void): Interrupt {
  const controller = new AbortController()
  const listeners = endingSignals.map((name) => {
    const listener = (): void => {
      if (controller.signal.aborted) process.exit(exitCodes[name])
      controller.abort(new MergeError('ERR_ABORTED', `stopped by ${name}`, { details: { signal: name } }))
      say(name)
    }
    process.on(name, listener)
    return { name, listener }
  })
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const { name, listener } of listeners) process.off(name, listener)
    },
  }
}
