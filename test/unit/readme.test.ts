// The documents: trees, commands, snippets, paths and links that they show are those of the repository.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'
import type { Command } from 'commander'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { makeProgram } from '../../src/cli/program.js'

const root = resolve(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const documents = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'docs/architecture.md',
  'docs/benchmarks.md',
  'docs/performance.md',
  'docs/results.md',
]
const names = z.record(z.string(), z.string())
const manifest = z
  .object({ scripts: names, dependencies: names, devDependencies: names })
  .parse(JSON.parse(read('package.json')))

const matches = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, group = '']) => group)

/** Contents of the fenced blocks of one language. */
const blocks = (text: string, language: string): string[] =>
  matches(text, new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))

/** A document without its fenced blocks. */
const prose = (path: string): string => read(path).replace(/^```[\s\S]*?^```$/gm, '')

/** Every command line of a document's shell blocks, split as a shell would. */
const commandLines = (path: string): string[][] =>
  blocks(read(path), 'sh')
    .flatMap((block) => block.split(/\n|&&/))
    .map((line) => matches(line.replaceAll(/"([^"]*)"/g, '\0$1\0'), /(\0[^\0]*\0|[^\s\0]+)/g))
    .map((words) => words.map((word) => word.replaceAll('\0', '')))

describe.each(documents)('%s', (path) => {
  test('links lead somewhere', () => {
    const broken = matches(prose(path), /\]\(([^)\s]+)\)/g).filter((link) => {
      if (/^https?:/.test(link)) return false
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : posix.join(posix.dirname(path), file)
      return !existsSync(join(root, target)) || (anchor !== undefined && !anchorsOf(target).includes(anchor))
    })
    expect(broken).toEqual([])
  })

  test('files that it names exist', () => {
    const inline = matches(prose(path), /`([^`\n]+)`/g).flatMap((code) => code.split(' '))
    const files = inline.filter((word) => /^(src|native|test|scripts|examples|cmake|docs|\.ci)\/[\w./-]+$/.test(word))
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
  })

  test('npm scripts that it names exist', () => {
    const used = matches(read(path), /\bnpm run ([\w:-]+)/g)
    expect(used.filter((name) => !(name in manifest.scripts))).toEqual([])
  })

  test('merge-lm commands parse', async () => {
    for (const words of commandLines(path)) {
      const args = words[0] === 'npx' ? words.slice(1) : words
      if (args[0] === 'merge-lm') await parse(args.slice(1))
    }
    const known = makeProgram().commands.map((command) => command.name())
    const named = matches(prose(path), /`merge-lm ([a-z]+)/g)
    expect(named.filter((name) => !known.includes(name))).toEqual([])
  })

  test('is ASCII', () => {
    expect([...read(path)].filter((letter) => letter > '\u007e')).toEqual([])
  })
})

describe('README', () => {
  test('the tree is that of the repository', () => {
    const [tree = ''] = blocks(read('README.md'), 'text')
    let parent = ''
    const shown = tree.split('\n').flatMap((line) => {
      const [, indent = '', name] = /^( {2})?([\w.]+)\/(?:\s|$)/.exec(line) ?? []
      if (name === undefined) return []
      if (indent === '') parent = name
      return [indent === '' ? name : `${parent}/${name}`]
    })
    expect(shown.toSorted()).toEqual(folders().toSorted())
    expect(tree.split('\n').filter((line) => line !== '')).toHaveLength(shown.length)
  })

  test('each command line of the two commands is a script of the package', () => {
    const commands = commandLines('README.md').map((words) => words.join(' '))
    expect(commands).toEqual(expect.arrayContaining(['npm ci', 'npm run quickstart', 'npm test']))
    expect(manifest.scripts).toHaveProperty('test')
  })

  test('the snippets type-check, and are plain JavaScript', { timeout: 120_000 }, () => {
    const snippets = blocks(read('README.md'), 'ts')
    expect(snippets.length).toBeGreaterThanOrEqual(2)
    expect(snippets.flatMap((snippet) => faults(snippet, 'mts'))).toEqual([])
    expect(snippets.flatMap((snippet) => faults(snippet, 'mjs'))).toEqual([])
    expect(faults("import { MergeModel } from 'merge-lm'\nawait MergeModel.load(1)\n", 'mts')).toHaveLength(1)
    expect(faults('const n: number = 1\n', 'mjs')).toHaveLength(1)
  })

  test('the command line has nine lines', () => {
    expect(commandLines('README.md').filter((words) => words[1] === 'merge-lm')).toHaveLength(9)
  })
})

test('docs/architecture.md gives a reason for each dependency, and for no other', () => {
  const [section = ''] = matches(read('docs/architecture.md'), /^## Dependencies\n([\s\S]*?)^## /gm)
  const named = matches(section, /^\| `([^`]+)` \| \S/gm)
  expect(named).toEqual([...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)])
})

describe('the recipes of CONTRIBUTING', () => {
  test('add a loss term: each reference stands in the parity test', () => {
    const formulas = ['losses', 'literalLosses', 'alignmentLosses'].map((name) => read(`src/merge/${name}.ts`)).join('')
    const references = matches(formulas, /^export function (\w+Loss)\(/gm)
    expect(references.length).toBeGreaterThan(12)
    const parity = read('test/parity/losses.test.ts') + read('test/parity/unalignedLosses.test.ts')
    expect(references.filter((name) => !parity.includes(`${name}(`))).toEqual([])
  })

  test('add an op with kernel: each op stands beside its reference in the list', () => {
    const noOps = ['tensor.h', 'straight_through.h', 'cuda.h', 'upload.h', 'float_rows.h', 'lines.h']
    // ways of ragged_attention
    noOps.push('device_attention.h', 'float_attention.h', 'half_attention.h', 'head_layout.h', 'head_work.h')
    const headers = readdirSync(join(root, 'native/ops')).filter((name) => name.endsWith('.h') && !noOps.includes(name))
    const referencesOf = (name: string) => matches(read(`native/ops/${name}`), /\b(\w+_reference)\(/g)
    expect(headers.filter((name) => referencesOf(name).length === 0)).toEqual([])
    const references = headers.flatMap(referencesOf)
    const list = read('test/native/ops_test.cc') + read('test/native/samplers_test.cc')
    expect(references.filter((name) => !list.includes(`ops::${name}(`))).toEqual([])
  })

  test('add a stop rule: each reason has its case', () => {
    const [union = ''] = matches(read('src/editor.ts'), /^export type RuleReason = (.+)$/gm)
    const reasons = matches(union, /'(\w+)'/g)
    expect(reasons.length).toBeGreaterThan(3)
    const cases = read('test/unit/stopping.test.ts')
    expect(reasons.filter((reason) => !cases.includes(`toBe('${reason}')`))).toEqual([])
  })
})

/** Headings as GitHub makes anchors of them. */
function anchorsOf(path: string): string[] {
  return matches(prose(path), /^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

/** Parses a command line with actions that do nothing; throws what the user would read. */
async function parse(args: readonly string[]): Promise<void> {
  const program = makeProgram().configureOutput({ writeErr: () => undefined })
  const silence = (command: Command): void => {
    command.configureOutput({ writeErr: () => undefined })
    if (command.commands.length === 0) command.action(() => undefined)
    command.commands.forEach(silence)
  }
  silence(program)
  await program.parseAsync(args, { from: 'user' })
}

/** Folders two levels deep, without what git ignores and without what editors leave behind. */
function folders(): string[] {
  const ignored = new Set(matches(read('.gitignore'), /^\/?([\w.-]+)\/$/gm))
  const isOurs = (name: string): boolean => !ignored.has(name) && (!name.startsWith('.') || name === '.ci')
  const inside = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && isOurs(entry.name))
      .map((entry) => entry.name)
  return inside('.').flatMap((name) => [name, ...inside(name).map((child) => `${name}/${child}`)])
}

/** What the compiler says of a snippet as a TypeScript module (types) or as a JavaScript module (syntax alone). */
function faults(snippet: string, ending: 'mts' | 'mjs'): string[] {
  const file = join(root, `snippet.${ending}`)
  const base = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...base.config, include: [] }, ts.sys, root)
  const settings: ts.CompilerOptions = {
    ...options,
    noEmit: true,
    incremental: false,
    allowJs: true,
    rootDir: root,
    paths: { 'merge-lm': [join(root, 'src/index.ts')] },
  }
  delete settings.tsBuildInfoFile
  const host = ts.createCompilerHost(settings)
  const { getSourceFile, fileExists } = host
  host.fileExists = (name) => resolve(name) === file || fileExists(name)
  host.getSourceFile = (name, version, ...rest) =>
    resolve(name) === file ? ts.createSourceFile(name, snippet, version) : getSourceFile(name, version, ...rest)
  const program = ts.createProgram([file], settings, host)
  const source = program.getSourceFile(file)
  const found =
    ending === 'mts'
      ? [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
      : program.getSyntacticDiagnostics(source)
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}
