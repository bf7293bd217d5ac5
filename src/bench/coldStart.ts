// coldStart: what a caller waits for who starts a process for one sentence: import, load, edit, end.

import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MergeModel } from '../model.js'
import { idTokenizer } from '../text/idTokenizer.js'
import { builtInSpecial } from '../text/tokenizer.js'
import { type BenchResult, resultOf } from './benchReport.js'
import type { BenchSize } from './benchSize.js'
import { draftsOf } from './families.js'
import { middleOf, rounded } from './quantiles.js'
import type { BenchSettings } from './suite.js'
import { inTurns } from './turns.js'

/** The whole life of such a process, and one that does nothing beside it: what Node.js itself takes. */
export async function* measureColdStart(
  settings: BenchSettings,
  size: BenchSize,
): AsyncGenerator<BenchResult, void, undefined> {
  const { threads, say } = settings
  say(`inference: ${size.name}, cold start`)
  const { layers, width, heads, feedForward, vocabulary, length } = size
  const tokenizer = idTokenizer({ vocabularySize: vocabulary, special: builtInSpecial })
  const folder = await mkdtemp(join(tmpdir(), 'merge-lm-bench-'))
  try {
    const shape = { layers, width, heads, feedForward, ...size.merge, maxLength: length }
    const saved = join(folder, 'model')
    {
      await using model = await MergeModel.create({ ...shape, threads, tokenizer })
      await model.save(saved)
    }
    const [draft = new Int32Array(0)] = draftsOf(size, 1)
    const program = `import { MergeModel } from ${JSON.stringify(new URL('../index.js', import.meta.url).href)}
const model = await MergeModel.load(${JSON.stringify(saved)}, { threads: ${threads} })
await model.edit(${JSON.stringify(tokenizer.decode(draft))}, { mode: 'edit', maxRounds: 1 })
await model.dispose()`
    const taken = await inTurns([processOf('MERGE', program, length), processOf('Node.js alone', '', length)], settings)
    for (const { contender, times } of taken) {
      const { median, low, high, samples } = middleOf(times)
      yield resultOf({
        suite: 'inference',
        case: 'life of a process: load, edit once, end',
        family: contender.name,
        size: size.name,
        batch: 1,
        dtype: 'float32',
        threads,
        latencyMs: rounded(median),
        spread: { low: rounded(low), high: rounded(high), samples },
      })
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const ended = promisify(execFile)

function processOf(name: string, program: string, tokens: number) {
  return {
    name,
    async run() {
      await ended(process.execPath, ['--input-type=module', '-e', program])
      return { tokens }
    },
  }
}
