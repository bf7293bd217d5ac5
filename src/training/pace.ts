// Pace: long work on the event loop in short stretches, so that timers and requests are never kept waiting.

const stretchMs = 4

/** Call it often; it resolves at once, or after the event loop has had a turn if the last one is too long ago. */
export function pace(): () => Promise<void> {
  let since = performance.now()
  return async () => {
    if (performance.now() - since < stretchMs) return
    await new Promise((resolve) => setImmediate(resolve))
    since = performance.now()
  }
}
