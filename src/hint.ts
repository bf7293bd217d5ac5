// closestKey: "did you mean" for a misspelt name.

/** The known name closest to `received`, or nothing if none is close (at most a third of its letters, two at least). */
export function closestKey(received: string, known: Iterable<string>): string | undefined {
  const wanted = received.slice(0, maximumLength).toLowerCase()
  const limit = Math.max(2, Math.floor(wanted.length / 3))
  let best: string | undefined
  let bestDistance = limit + 1
  for (const name of known) {
    const distance = name === received ? 0 : editDistance(wanted, name.slice(0, maximumLength).toLowerCase())
    // A name must share something with what was typed: 'ab' is not a misspelt 'xy'.
    if (distance < bestDistance && distance < Math.max(wanted.length, name.length)) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean "x"?` or an empty string. */
export function didYouMean(received: string, known: Iterable<string>): string {
  const name = closestKey(received, known)
  return name === undefined ? '' : `; did you mean "${name}"?`
}

const maximumLength = 80

/** Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(substitution, at(last, j) + 1, at(row, j - 1) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, at(beforeLast, j - 2) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

const at = (row: readonly number[], index: number): number => row[index] ?? Number.POSITIVE_INFINITY
