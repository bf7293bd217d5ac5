// Looks at the tools a build needs (compiler, CMake, make or Ninja, Python): what is there, what is too old, how to mend it.

/** Every tool with its version, or in `problem` and `mend` what is wrong and what to do about it. */
export function inspectTools(machine) {
  return [inspectCompiler(machine), inspectCmake(machine), inspectMake(machine), inspectPython(machine)]
}

function inspectCompiler(machine) {
  const command = machine.env.CXX || 'g++'
  const name = 'C++ compiler'
  const mend = 'install g++ 12 or newer (Debian, Ubuntu: apt-get install g++), or name another with CXX'
  const asked = machine.run(command, ['-dumpfullversion', '-dumpversion'])
  if (!asked.ok) return { name, needed: true, problem: `${command} does not run`, mend }
  const version = asked.stdout.trim()
  const isClang = /clang/.test(machine.run(command, ['--version']).stdout)
  const oldest = isClang ? 15 : 12
  const found = { name, needed: true, version: `${command} ${version}` }
  if (Number.parseInt(version, 10) >= oldest) return found
  return { ...found, problem: `${command}: expected version ${oldest} or newer, received ${version}`, mend }
}

function inspectCmake(machine) {
  const mend = 'install CMake 3.18 or newer (Debian, Ubuntu: apt-get install cmake; or python3 -m pip install cmake)'
  const asked = machine.run('cmake', ['--version'])
  if (!asked.ok) return { name: 'CMake', needed: true, problem: 'cmake does not run', mend }
  const version = /(\d+)\.(\d+)[.\d]*/.exec(asked.stdout)
  const [text, major, minor] = version ?? ['unknown', 0, 0]
  const found = { name: 'CMake', needed: true, version: text }
  if (Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 18)) return found
  return { ...found, problem: `cmake: expected version 3.18 or newer, received ${text}`, mend }
}

function inspectMake(machine) {
  const name = 'make or Ninja'
  for (const command of ['ninja', 'make']) {
    const asked = machine.run(command, ['--version'])
    if (asked.ok) return { name, needed: true, version: `${command} ${asked.stdout.match(/[\d.]+/)?.[0] ?? ''}`.trim() }
  }
  return {
    name,
    needed: true,
    problem: 'neither runs',
    mend: 'install one (Debian, Ubuntu: apt-get install ninja-build)',
  }
}

// Only needed while a libtorch has to be found or fetched with it, so its absence alone stops nothing.
function inspectPython(machine) {
  const command = machine.env.PYTHON || 'python3'
  const asked = machine.run(command, ['-m', 'pip', '--version'])
  if (asked.ok) {
    const version = machine.run(command, ['--version']).stdout.trim().replace('Python ', '')
    return { name: 'Python with pip', needed: false, version }
  }
  const mend = 'install python3 and pip (Debian, Ubuntu: apt-get install python3-pip), or set MERGE_LM_LIBTORCH'
  return { name: 'Python with pip', needed: false, problem: `${command} -m pip does not run`, mend }
}
