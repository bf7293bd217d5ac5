// readConfig: the quickstart's configuration, with the two numbers that the command line may change.

import { readFile } from 'node:fs/promises'
import { parseConfig, type RunConfig, runConfig } from 'merge-lm'
import { parse } from 'yaml'
import { z } from 'zod'

/** Reads the file; `minutes` and `seed` replace what it says. */
export async function readConfig(
  file: URL,
  given: { readonly minutes?: string | undefined; readonly seed?: string | undefined },
): Promise<RunConfig> {
  const content = z.looseObject({ recipe: z.looseObject({}) }).parse(parse(await readFile(file, 'utf8')))
  const recipe = {
    ...content.recipe,
    ...(given.minutes === undefined ? {} : { minutes: Number(given.minutes) }),
    ...(given.seed === undefined ? {} : { seed: Number(given.seed) }),
  }
  return parseConfig(runConfig, { ...content, recipe }, '')
}
