// The search for libtorch: its order, its version gate and what it says when nothing is there, on made-up machines.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  cacheFolder,
  cudaRequirements,
  findLibtorch,
  inspectLibtorch,
  isSupported,
  type Machine,
  PINNED,
  recordLibtorch,
  SetupError,
  searchLibtorch,
} from '../../scripts/libtorch.mjs'
import { MergeError } from '../../src/errors.js'
import { builtLibtorch, chooseLibtorch, type Loader, openLibtorch } from '../../src/libtorch.js'

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'merge-lm-libtorch-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

/** A folder that looks like a libtorch of this version. */
function makeLibtorch(root: string, version: string, options: { cuda?: boolean; python?: string } = {}): string {
  const [major, minor, patch] = version.split('.')
  const header =
    `#define TORCH_VERSION_MAJOR ${major}\n#define TORCH_VERSION_MINOR ${minor}\n` +
    `#define TORCH_VERSION_PATCH ${patch}\n`
  write(join(root, 'include/torch/headeronly/version.h'), header)
  const libraries = ['libtorch', 'libtorch_cpu', 'libc10', ...(options.cuda === true ? ['libtorch_cuda'] : [])]
  for (const name of libraries) write(join(root, 'lib', `${name}.so`), '')
  if (options.python !== undefined) write(join(root, 'version.py'), `__version__ = '${options.python}'\n`)
  return root
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

interface Fake extends Machine {
  readonly said: string[]
  readonly ran: string[]
}

/** A machine whose commands are answered by `answer`: text is success, `undefined` failure. */
function machine(
  answer: (line: string) => string | undefined = () => undefined,
  env: Readonly<Record<string, string>> = {},
  platform = 'linux-x64',
): Fake {
  const said: string[] = []
  const ran: string[] = []
  const run: Machine['run'] = (command, args) => {
    const line = [command, ...args].join(' ')
    ran.push(line)
    const stdout = answer(line)
    return stdout === undefined
      ? { ok: false, stdout: '', stderr: 'first line\nERROR: no network' }
      : { ok: true, stdout, stderr: '' }
  }
  return {
    env: { XDG_CACHE_HOME: join(home, 'cache'), ...env },
    home,
    platform,
    said,
    ran,
    run,
    say: (s) => said.push(s),
  }
}

const withTorch = (folder: string) => (line: string) => (line.includes('find_spec') ? `${folder}\n` : undefined)

function problemOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof SetupError || error instanceof MergeError) return error.message
    throw error
  }
  throw new Error('expected a failure')
}

describe('search order', () => {
  test('MERGE_LM_LIBTORCH wins over everything', () => {
    const named = makeLibtorch(join(home, 'named'), '2.12.1')
    makeLibtorch(join(home, 'cache/merge-lm/libtorch/2.13.0/torch'), '2.13.0')
    const fake = machine(withTorch(makeLibtorch(join(home, 'site/torch'), '2.14.0')), { MERGE_LM_LIBTORCH: named })
    expect(findLibtorch(fake)).toEqual({ root: named, version: '2.12.1', kind: 'cpu', how: 'MERGE_LM_LIBTORCH' })
    expect(fake.said[0]).toContain('libtorch 2.12.1 (cpu) from MERGE_LM_LIBTORCH')
  })

  test('the active Python comes second, and find_spec does not import torch', () => {
    const site = makeLibtorch(join(home, 'site/torch'), '2.14.1', { cuda: true, python: '2.14.1+cu130' })
    makeLibtorch(join(home, 'cache/merge-lm/libtorch/2.13.0/torch'), '2.13.0')
    const fake = machine(withTorch(site), { VIRTUAL_ENV: '/venv' })
    expect(findLibtorch(fake)).toEqual({ root: site, version: '2.14.1', kind: 'cuda', how: 'active Python' })
    expect(fake.ran[0]).toMatch(/^\/venv\/bin\/python -c/)
    expect(fake.ran.join()).not.toMatch(/import torch/)
  })

  test('an unsupported torch in Python is passed over, with the reason', () => {
    const cached = makeLibtorch(join(home, 'cache/merge-lm/libtorch/2.13.0/torch'), '2.13.0')
    const fake = machine(withTorch(makeLibtorch(join(home, 'site/torch'), '2.4.1')))
    expect(findLibtorch(fake).root).toBe(cached)
    expect(fake.said.join('\n')).toContain('version 2.4.1 is outside 2.11 to 2.14')
  })

  test('in the cache the pinned version comes before the newest', () => {
    for (const version of ['2.11.0', '2.14.1', PINNED]) {
      makeLibtorch(join(home, 'cache/merge-lm/libtorch', version, 'torch'), version)
    }
    expect(searchLibtorch(machine()).at(-1)?.version).toBe(PINNED)
    rmSync(join(home, 'cache/merge-lm/libtorch', PINNED), { recursive: true })
    expect(searchLibtorch(machine()).at(-1)?.version).toBe('2.14.1')
  })

  test('nothing there: pip is asked for the CPU build first, then for the plain one', () => {
    const fake = machine((line) => {
      if (/sys.version_info|pip --version/.test(line)) return ''
      const target = /--target (\S+)/.exec(line)?.[1]
      if (target === undefined || !line.endsWith(` torch==${PINNED}`)) return undefined
      makeLibtorch(join(target, 'torch'), PINNED, { python: PINNED })
      return ''
    })
    const root = join(cacheFolder(fake), PINNED, 'torch')
    expect(findLibtorch(fake)).toEqual({ root, version: PINNED, kind: 'cpu', how: 'pip' })
    expect(existsSync(join(root, 'lib/libtorch.so'))).toBe(true)
    const installs = fake.ran.filter((line) => line.includes('pip install')).map((line) => line.split(' ').at(-1))
    expect(installs).toEqual([`torch==${PINNED}+cpu`, `torch==${PINNED}`])
    expect(readdirSync(cacheFolder(fake))).toEqual([PINNED])
  })

  test('a CUDA build brings the NVIDIA packages that its METADATA names', () => {
    const metadata = [
      'Requires-Dist: filelock',
      'Requires-Dist: nvidia-cudnn-cu13==9.1; platform_system == "Linux"',
      'Requires-Dist: cuda-toolkit[cublas,cudart]==13.0.2; platform_system == "Linux"',
      'Requires-Dist: nvidia-extra==1; extra == "test"',
      'Requires-Dist: triton==3.6; platform_system == "Linux"',
      '',
    ].join('\n')
    const fake = machine((line) => {
      const target = /--target (\S+)/.exec(line)?.[1]
      if (target !== undefined && line.includes(' torch==')) {
        makeLibtorch(join(target, 'torch'), PINNED, { cuda: true })
        write(join(target, `torch-${PINNED}.dist-info/METADATA`), metadata)
        expect(cudaRequirements(target)).toEqual(['nvidia-cudnn-cu13==9.1', 'cuda-toolkit[cublas,cudart]==13.0.2'])
      }
      return ''
    })
    expect(findLibtorch(fake).kind).toBe('cuda')
    expect(fake.ran.at(-1)).toMatch(/ nvidia-cudnn-cu13==9\.1 cuda-toolkit\[cublas,cudart\]==13\.0\.2$/)
  })

  test('without pip the official archive is fetched', () => {
    const fake = machine((line) => {
      if (line.includes('sys.version_info')) return ''
      if (!line.includes('zipfile')) return undefined
      makeLibtorch(join(line.split(' ').at(-1) ?? '', 'libtorch'), PINNED)
      return ''
    })
    expect(findLibtorch(fake)).toMatchObject({ how: 'official archive', version: PINNED })
    expect(searchLibtorch(fake).at(-1)).toMatchObject({ how: 'package cache', version: PINNED })
  })
})

describe('failures are one readable message', () => {
  test('offline: every place with its reason, and what to provide', () => {
    const fake = machine((line) => (/sys.version_info|pip --version/.test(line) ? '' : undefined))
    const message = problemOf(() => findLibtorch(fake))
    expect(message).toContain('MERGE_LM_LIBTORCH: not set')
    expect(message).toContain(`pip: pip install torch==${PINNED} failed: ERROR: no network`)
    expect(message).toContain('official archive: https://')
    expect(message).toContain('MERGE_LM_LIBTORCH=/path/to/torch')
    expect(readdirSync(cacheFolder(fake))).toEqual([]) // no half download is left
  })

  test('no Python', () => {
    expect(problemOf(() => findLibtorch(machine()))).toContain('python3 (3.8 or newer) does not run')
  })

  test('a bad MERGE_LM_LIBTORCH is never skipped', () => {
    makeLibtorch(join(home, 'cache/merge-lm/libtorch/2.13.0/torch'), '2.13.0')
    const of = (folder: string) => problemOf(() => findLibtorch(machine(undefined, { MERGE_LM_LIBTORCH: folder })))
    expect(of(join(home, 'nowhere'))).toMatch(/^MERGE_LM_LIBTORCH: expected .* received .*nowhere: no such folder\.$/)
    expect(of(makeLibtorch(join(home, 'old'), '1.13.1'))).toContain('version 1.13.1 is outside 2.11 to 2.14')
    rmSync(join(home, 'old/lib/libc10.so'))
    expect(of(join(home, 'old'))).toContain('lacks lib/libc10.so')
  })

  test('another platform', () => {
    expect(problemOf(() => findLibtorch(machine(undefined, {}, 'darwin-arm64')))).toContain('received darwin-arm64')
  })

  test('exit code 2', () => {
    expect(new SetupError('x')).toMatchObject({ exitCode: 2, message: 'x' })
  })
})

describe('version gate', () => {
  test.each([
    ['2.10.9', false],
    ['2.11.0', true],
    ['2.13.0+cpu', true],
    ['2.14.7', true],
    ['2.15.0', false],
    ['1.13.1', false],
    ['3.12.0', false],
  ])('%s', (version, supported) => expect(isSupported(version)).toBe(supported))

  test('headers and Python files of different versions are refused', () => {
    const root = makeLibtorch(join(home, 'mixed'), '2.13.0', { python: '2.12.0' })
    expect(inspectLibtorch(root).problem).toContain('two installations mixed')
  })
})

describe('run time', () => {
  const built = { root: '/built', version: '2.13.0', how: 'package cache' }
  const inspect = (folder: string) => ({ root: folder, version: folder === '/built' ? '2.13.0' : folder.slice(1) })

  test('the recorded one, unless MERGE_LM_LIBTORCH names one of the same minor', () => {
    expect(chooseLibtorch(built, undefined, inspect)).toEqual(built)
    expect(chooseLibtorch(built, '', inspect)).toEqual(built)
    expect(chooseLibtorch(built, '/2.13.4', inspect)).toEqual({
      root: '/2.13.4',
      version: '2.13.4',
      how: 'MERGE_LM_LIBTORCH',
    })
  })

  test('another minor is refused', () => {
    const message = problemOf(() => chooseLibtorch(built, '/2.14.0', inspect))
    expect(message).toContain(
      'MERGE_LM_LIBTORCH: expected version 2.13.x, which the addon was built against, received 2.14.0',
    )
  })

  test('a libtorch that has gone', () => {
    const message = problemOf(() => chooseLibtorch({ ...built, root: join(home, 'gone') }, undefined))
    expect(message).toMatch(
      /^libtorch: expected a libtorch 2\.13, received .*gone: no such folder; run `npm run build`/,
    )
  })

  test('the record of the build is read back; without one the message says what to do', () => {
    const path = join(home, 'Release/libtorch.json')
    recordLibtorch({ root: '/built', version: '2.13.0', kind: 'cpu', how: 'pip' }, path)
    expect(builtLibtorch(dirname(path))).toEqual({ root: '/built', version: '2.13.0', how: 'pip' })
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ kind: 'cpu' })
    expect(problemOf(() => builtLibtorch(home))).toContain('npm run build')
    write(path, '{}')
    expect(problemOf(() => builtLibtorch(dirname(path)))).toContain('expected root, version and how')
  })

  test('opening checks which libtorch the process really has', () => {
    const root = makeLibtorch(join(home, 'torch'), '2.13.0')
    const other = makeLibtorch(join(home, 'other'), '2.12.0')
    const chosen = { root, version: '2.13.0', how: 'pip' }
    const opened: string[] = []
    const loader = (version: string, from: string): Loader => ({
      open: (path) => opened.push(path),
      loaded: () => ({ version, path: join(from, 'lib/libtorch_cpu.so') }),
    })
    expect(openLibtorch(loader('2.13.0', root), chosen)).toBe(chosen)
    expect(opened).toEqual([join(root, 'lib/libtorch.so')])
    expect(problemOf(() => openLibtorch(loader('2.12.0', other), chosen))).toContain('had loaded before')
    expect(problemOf(() => openLibtorch(loader('2.13.0', other), chosen))).toContain('had loaded before')
    expect(problemOf(() => openLibtorch({ ...loader('2.13.0', root), loaded: () => undefined }, chosen))).toContain(
      'nowhere',
    )
  })

  test('a CUDA build without its NVIDIA packages names the missing library', () => {
    const loader: Loader = {
      open: () => {
        throw new Error('libcusparse.so.12: cannot open shared object file: No such file or directory')
      },
      loaded: () => undefined,
    }
    const message = problemOf(() => openLibtorch(loader, { root: '/cuda', version: '2.14.1', how: 'pip' }))
    expect(message).toContain('expected libcusparse.so.12 beside this CUDA build (its NVIDIA packages)')
  })
})
