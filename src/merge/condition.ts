// Condition: what stands before a row, is read, and never changes: what the caller gives, the draft, or both (H18, H30).

import type { ModelConfig } from '../config.js'
import type { NativeRows } from '../native.js'
import { packRows } from '../rows.js'

/** What a row may stand behind. */
export interface ConditionParts {
  readonly given?: Int32Array | undefined
  readonly draft: Int32Array
}

/** The conditions of rows, or `undefined` where none has any; between the caller's and the draft stands a separator. */
export function conditionRows(
  parts: readonly ConditionParts[],
  { condition, sep }: Pick<ModelConfig, 'condition'> & { readonly sep: number },
): NativeRows | undefined {
  const readsDraft = condition === 'draft'
  if (!readsDraft && parts.every(({ given }) => given === undefined)) return undefined
  return packRows(
    parts.map(({ given = none, draft }) => {
      if (!readsDraft) return given
      return given.length === 0 ? draft : Int32Array.from([...given, sep, ...draft])
    }),
  )
}

const none = new Int32Array(0)
