// Edit distance between two token rows, with a cap so that the caller pays only for the answer it needs.

/**
 * Levenshtein distance in tokens (insert, delete and substitute cost 1), or `cap` where it is `cap` or more.
 *
 * Costs O(cap * length): only a band of the table is filled, and it ends as soon as a whole row has reached the cap.
 */
export function editDistance(a: Int32Array, b: Int32Array, cap = Number.POSITIVE_INFINITY): number {
  const [short, long] = trimmed(a, b)
  const limit = Math.min(cap, long.length)
  if (long.length - short.length >= limit) return limit

  // previous[j] = distance(short[0..i), long[0..j)); cells outside the band hold the limit.
  const previous = new Int32Array(long.length + 1).fill(limit)
  for (let j = 0; j < limit; j++) previous[j] = j
  for (let i = 1; i <= short.length; i++) {
    const from = Math.max(1, i - limit + 1)
    const to = Math.min(long.length, i + limit - 1)
    let diagonal = previous[from - 1] ?? limit
    let left = from === 1 ? Math.min(i, limit) : limit
    let best = left
    previous[from - 1] = left
    for (let j = from; j <= to; j++) {
      const above = previous[j] ?? limit
      const cost = short[i - 1] === long[j - 1] ? diagonal : 1 + Math.min(diagonal, above, left)
      diagonal = above
      left = Math.min(cost, limit)
      previous[j] = left
      if (left < best) best = left
    }
    if (best >= limit) return limit
  }
  return previous[long.length] ?? limit
}

/** Whether two rows hold the same tokens. */
export function sameTokens(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((token, index) => token === b[index])
}

// Both rows without their common beginning and end, the shorter first.
function trimmed(a: Int32Array, b: Int32Array): [short: Int32Array, long: Int32Array] {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a]
  let head = 0
  while (head < short.length && short[head] === long[head]) head++
  let tail = 0
  while (tail < short.length - head && short[short.length - 1 - tail] === long[long.length - 1 - tail]) tail++
  return [short.subarray(head, short.length - tail), long.subarray(head, long.length - tail)]
}
