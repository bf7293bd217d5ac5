// stretches: how long a piece of work held the event loop at a time.

/**
 * Lengths of the stretches between two turns of the event loop while `work` runs, in milliseconds, shortest first. What
 * counts is the process's own time where that is less: on a busy machine, others hold the processor.
 */
export async function stretchesDuring(work: () => Promise<unknown>): Promise<number[]> {
  const stretches: number[] = []
  let since = performance.now()
  let used = process.cpuUsage()
  const ticker = setInterval(() => {
    const { user, system } = process.cpuUsage(used)
    stretches.push(Math.min(performance.now() - since, (user + system) / 1000))
    since = performance.now()
    used = process.cpuUsage()
  }, 1)
  try {
    await work()
  } finally {
    clearInterval(ticker)
  }
  return stretches.sort((a, b) => a - b)
}
