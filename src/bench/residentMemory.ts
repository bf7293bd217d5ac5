// Resident memory of this process, from Linux' /proc: now, and the most since it was last reset; null where it is not told.

import { readFileSync, writeFileSync } from 'node:fs'

/** MiB that are resident now. */
export const residentMb = (): number | null => statusMb('VmRSS')

/** The most MiB that were resident since `resetPeak`. */
export const peakResidentMb = (): number | null => statusMb('VmHWM')

/** Begins to count the most anew. https://docs.kernel.org/filesystems/proc.html (clear_refs, 5) */
export function resetPeak(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Refused in some containers: the peak is then that of the whole run so far.
  }
}

function statusMb(name: string): number | null {
  try {
    const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    return kib === undefined ? null : Number(kib) / 1024
  } catch {
    return null
  }
}
