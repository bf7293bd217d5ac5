// The house rules a machine can read: file lengths, file names, first comment lines.
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'

const LONGEST = 400 // lines; more needs a reason, and a line in the list below
const excused: readonly string[] = []

const files = ['src', 'native', 'scripts', 'test', 'examples', 'cmake'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mts|mjs|cjs|cc|h|cu|py|cmake)$/.test(name) && !name.includes('__pycache__'))
    .map((name) => `${folder}/${name}`),
)

test('no file is longer than 400 lines', () => {
  const lengths = files.map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length - 1 }))
  const tooLong = lengths.filter(({ file, lines }) => lines > LONGEST && !excused.includes(file))
  expect(tooLong).toEqual([])
})

test('no file has a name that says nothing', () => {
  const banned = /^(utils?|helpers?|common|misc|shared|manager|base)\b|(Utils?|Helpers?|Manager)\./
  expect(files.filter((file) => banned.test(basename(file)))).toEqual([])
})

test('each file says in its first line what it is', () => {
  const isSaid = (file: string) =>
    /^(#!.*\n)?(\/\/|#(?!include|pragma)|\/\*\*?|""")\s?\S/.test(readFileSync(file, 'utf8'))
  expect(files.filter((file) => !isSaid(file))).toEqual([])
})

test('code is ASCII', () => {
  const code = files.filter((file) => /^(native|scripts|cmake)\//.test(file))
  expect(code.filter((file) => [...readFileSync(file, 'utf8')].some((letter) => letter > '\u007e'))).toEqual([])
})
