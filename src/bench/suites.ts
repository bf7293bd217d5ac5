// suites: every suite by its name.

import type { SuiteName } from './benchReport.js'
import { inferenceSuite } from './inferenceSuite.js'
import { opsSuite } from './opsSuite.js'
import { qualitySuite } from './qualitySuite.js'
import type { Suite } from './suite.js'
import { trainingSuite } from './trainingSuite.js'

/** What runs under a name. */
export const suiteOf: Readonly<Record<SuiteName, Suite>> = {
  ops: opsSuite,
  inference: inferenceSuite,
  training: trainingSuite,
  quality: qualitySuite,
}
