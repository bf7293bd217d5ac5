// boundaryMap: carries offsets of a normalized text over to the text it came from.

import { editScript } from './editScript.js'

/** A function from offsets of `normalized` to offsets of `original`; both in UTF-16 units. */
export function boundaryMap(normalized: string, original: string): (offset: number) => number {
  // Lower-casing keeps every offset; no need to align.
  if (normalized.length === original.length) return (offset) => offset
  const edits = editScript(normalized, original)
  return (offset) => {
    const edit = edits.find(({ end }) => offset <= end) ?? edits.at(-1)
    if (edit === undefined) return 0
    const beyond = edit.startAfter + Math.max(0, offset - edit.start)
    return offset === edit.end ? edit.endAfter : Math.min(beyond, edit.endAfter)
  }
}
