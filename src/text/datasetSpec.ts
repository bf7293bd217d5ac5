// datasetSpec: the JSON description of a data set, with its defaults.

import { z } from 'zod'
import { MergeError } from '../errors.js'
import { didYouMean } from '../hint.js'

/** How a text file is cut into examples. */
export const textUnits = ['line', 'sentence', 'paragraph'] as const

/** File formats that can be read. */
export const dataFormats = ['text', 'jsonl', 'parquet'] as const

const shape = {
  file: z.string().min(1).optional().describe('One file. Give exactly one of file, files, package.'),
  files: z.array(z.string().min(1)).min(1).optional().describe('Several files, read in this order.'),
  package: z
    .string()
    .regex(/^(?:@[\w.~-]+\/)?[\w.~-]+$/, 'expected the name of an npm package')
    .optional()
    .describe('An installed npm package with texts in data/*.txt, or in the "text" of data/*.json.'),
  format: z
    .enum(dataFormats)
    .optional()
    .describe('Default: by the ending .txt .jsonl .ndjson .parquet; anything else is text.'),
  unit: z.enum(textUnits).default('line').describe('What one example of a text file is.'),
  sourceColumn: z
    .string()
    .min(1)
    .optional()
    .describe('Column of the text to edit. Default: "source" where there is one.'),
  targetColumn: z.string().min(1).optional().describe('Column of the finished text. Default: "target", else "text".'),
  conditionColumn: z
    .string()
    .min(1)
    .optional()
    .describe('Column of what stands before the text and never changes. Default: "condition" where there is one.'),
  minLength: z.int().min(0).default(1).describe('Shortest text, in UTF-16 units; shorter ones are left out.'),
  maxLength: z
    .int()
    .min(1)
    .optional()
    .describe('Longest text, in UTF-16 units; longer ones are left out. Default: any.'),
  unique: z.boolean().default(false).describe('Leave out repeated examples; the first stays.'),
  ascii: z.boolean().default(false).describe('Leave out examples with characters beyond ASCII.'),
  limit: z.int().min(1).optional().describe('Stop after this many examples. Default: all.'),
}

/** A data set as it stands in a configuration file. */
export const datasetSpec = z
  .strictObject(shape)
  .refine((spec) => [spec.file, spec.files, spec.package].filter((given) => given !== undefined).length === 1, {
    message: 'expected exactly one of file, files, package',
  })

/** A data set's description, as written. */
export type DatasetSpec = z.input<typeof datasetSpec>

/** A data set's description with its defaults. */
export type ResolvedDatasetSpec = z.output<typeof datasetSpec>

/** Checks a description and fills in its defaults; ERR_CONFIG names the key and, for a misspelt one, the right one. */
export function resolveDatasetSpec(spec: unknown): ResolvedDatasetSpec {
  const parsed = datasetSpec.safeParse(spec)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? ''
    throw new MergeError('ERR_CONFIG', `data.${key}: not a known key${didYouMean(key, Object.keys(shape))}`)
  }
  const path = ['data', ...(issue?.path ?? [])].join('.')
  throw new MergeError('ERR_CONFIG', `${path}: ${issue?.message ?? 'not valid'}`, { cause: parsed.error })
}
