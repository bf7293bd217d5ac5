// Makes the puzzles: train.jsonl and test.jsonl, no grid of one in the other, every puzzle with one solution.
//
// node build/examples/sudoku/makeData.js [--size 6 --grids 20000 --puzzles 1 --seed 1 --folder runs/sudoku6/data]

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { randomFrom } from 'merge-lm'
import { puzzleOf, randomGrid, type Size } from './grid.js'

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '4' },
    grids: { type: 'string', default: '288' },
    puzzles: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    folder: { type: 'string', default: 'runs/sudoku/data' },
  },
})
const size: Size = values.size === '6' ? 6 : 4
const seed = Number(values.seed)
// A fifth of the grids is held out, at most 500; 4 x 4 has 288 grids in all.
const wanted = Math.min(Number(values.grids), size === 4 ? 288 : Number.POSITIVE_INFINITY)
const heldOut = Math.min(500, Math.floor(wanted / 5))

const grids = new Set<string>()
for (let draw = 0; grids.size < wanted; draw++) grids.add(randomGrid(size, randomFrom(seed, draw, 0, 'grid')))

const lines = [...grids].map((target, index) =>
  Array.from(
    { length: index < heldOut ? Math.min(8, Number(values.puzzles)) : Number(values.puzzles) },
    (_, puzzle) => {
      const random = randomFrom(seed, index, puzzle, 'puzzle')
      const [least, most] = size === 4 ? [4, 9] : [10, 22]
      const source = puzzleOf(target, least + random.integer(most - least + 1), random)
      return `${JSON.stringify({ source, target })}\n`
    },
  ),
)
await mkdir(values.folder, { recursive: true })
await writeFile(join(values.folder, 'test.jsonl'), lines.slice(0, heldOut).flat().join(''))
await writeFile(join(values.folder, 'train.jsonl'), [...new Set(lines.slice(heldOut).flat())].join(''))
process.stdout.write(`${values.folder}: ${heldOut} held-out grids of ${wanted}, size ${size} x ${size}\n`)
