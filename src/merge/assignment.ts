// cheapestAssignment: each of n rows gets a column of its own among m >= n, at the least cost in all.

/**
 * The Hungarian algorithm: rows are added one by one, each by the shortest augmenting path (Jonker and Volgenant 1987).
 * `cost(i, j)` must be finite. O(n^2 m).
 */
export function cheapestAssignment(n: number, m: number, cost: (row: number, column: number) => number): number[] {
  const none = -1
  // cost - ofRow - ofColumn is never negative, and 0 where assigned. Column m stands for the row that is being added.
  const ofRow = new Float64Array(n)
  const ofColumn = new Float64Array(m + 1)
  const rowAt = new Int32Array(m + 1).fill(none)
  const cameFrom = new Int32Array(m + 1).fill(m)
  for (let added = 0; added < n; added++) {
    const distance = new Float64Array(m).fill(Number.POSITIVE_INFINITY)
    const isDone = new Uint8Array(m + 1)
    let column = m
    rowAt[m] = added
    for (let row = added; row !== none; row = rowAt[column] ?? none) {
      isDone[column] = 1
      let nearest = none
      for (let j = 0; j < m; j++) {
        if (isDone[j] === 1) continue
        const reduced = cost(row, j) - (ofRow[row] ?? 0) - (ofColumn[j] ?? 0)
        if (reduced < (distance[j] ?? 0)) {
          distance[j] = reduced
          cameFrom[j] = column
        }
        if (nearest === none || (distance[j] ?? 0) < (distance[nearest] ?? 0)) nearest = j
      }
      const step = distance[nearest] ?? 0
      for (let j = 0; j <= m; j++) {
        if (isDone[j] === 1) {
          const held = rowAt[j] ?? 0
          ofRow[held] = (ofRow[held] ?? 0) + step
          ofColumn[j] = (ofColumn[j] ?? 0) - step
        } else if (j < m) distance[j] = (distance[j] ?? 0) - step
      }
      column = nearest
    }
    while (column !== m) {
      const before = cameFrom[column] ?? m
      rowAt[column] = rowAt[before] ?? none
      column = before
    }
  }
  const assigned = new Array<number>(n).fill(none)
  for (let j = 0; j < m; j++) {
    const row = rowAt[j] ?? none
    if (row !== none) assigned[row] = j
  }
  return assigned
}
