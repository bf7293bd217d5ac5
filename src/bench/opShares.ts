// opShares: where the time of a call goes: products of matrices, attention, and what is neither.

import { loadNative, type NativeArrays } from '../native.js'
import { rounded } from './quantiles.js'

/** Shares (0..1) of a call's whole time; `share <op>` of the largest ops that are neither. */
export type OpShares = Readonly<Record<string, number>>

const most = 5

/** Runs a call under the engine's recorder, which costs it a little. */
export async function opShares(run: () => Promise<unknown>): Promise<OpShares> {
  const native = await loadNative()
  let recorded: NativeArrays = {}
  await native.runOp('profileOps', { begin: true }, {})
  const start = performance.now()
  let end = start
  try {
    await run()
    end = performance.now()
  } finally {
    recorded = await native.runOp('profileOps', { begin: false }, {})
  }
  return sharesOf(recorded, end - start)
}

/** The shares of what the recorder found: calls and milliseconds by op. */
export function sharesOf(found: Readonly<Record<string, ArrayLike<number>>>, milliseconds: number): OpShares {
  const share = (name: string): number => (found[name]?.[1] ?? 0) / milliseconds
  const others = Object.keys(found)
    .filter((name) => name !== 'gemm' && name !== 'attention')
    .map((name): [string, number] => [`share ${name}`, rounded(share(name))])
    .sort(([, a], [, b]) => b - a)
  const [gemm, attention] = [share('gemm'), share('attention')]
  return {
    gemmShare: rounded(gemm),
    attentionShare: rounded(attention),
    outsideShare: rounded(Math.max(0, 1 - gemm - attention)),
    ...Object.fromEntries(others.slice(0, most)),
  }
}
