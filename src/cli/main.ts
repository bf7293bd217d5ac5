#!/usr/bin/env node
// merge-lm: the entry of the command line.

import { runCommandLine } from './program.js'

// A reader that went away (`| head`) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 5)
})

process.exitCode = await runCommandLine(process.argv.slice(2))
