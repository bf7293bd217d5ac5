// Three lanes: unit needs no native build, parity and e2e do. A native crash stays inside one file (forks).
import { defineConfig } from 'vitest/config'

const lane = (name: string, timeoutMs: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
  },
})

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    env: { OMP_WAIT_POLICY: 'PASSIVE' },
    projects: [lane('unit', 20_000), lane('parity', 120_000), lane('e2e', 300_000)],
  },
})
