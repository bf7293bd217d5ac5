// merge-lm inspect: what a model folder holds, and the inner values of a forward pass.

import type { Command } from 'commander'
import { MergeError } from '../errors.js'
import { sessionOf } from '../model.js'
import type { NativeArray } from '../native.js'
import { packRows } from '../rows.js'
import { type Manifest, verifyFolder } from '../savedFolder.js'
import { type AnyModel, folderKind, openAnyModel } from './anyModel.js'
import { type AnyModelFlags, takesModel } from './modelOptions.js'
import { writeOutput } from './terminal.js'

interface InspectFlags extends AnyModelFlags {
  readonly tokens?: string
  readonly text?: string
  readonly promptTokens?: string
  /** false: without a cache. */
  readonly cache?: boolean
  readonly outputs?: string
  /** true: to stdout. */
  readonly json?: string | true
}

/** Adds the command. */
export function addInspect(program: Command): void {
  takesModel(
    program
      .command('inspect')
      .summary('show what a model holds, or its inner values for a row of tokens')
      .description(
        'Without --tokens or --text: configuration, parameters and sizes, every file verified. With one of them: copies ' +
          'of the inner values of a forward pass, one row. The model may be one of ours, or a folder in Hugging Face layout.',
      ),
  )
    .option('--weight-dtype <type>', 'RemeDi: float32 or bfloat16, how matrices are held (default: as saved)')
    .option('--tokens <ids>', 'a row of token ids, such as 5,6,7')
    .option('--text <text>', 'a text instead of ids')
    .option('--prompt-tokens <ids>', 'RemeDi: the row is a block behind this prompt, which sees itself alone')
    .option('--no-cache', 'RemeDi: read prompt and block together, not the block behind a cached prompt')
    .option('--outputs <names>', `some of ${outputNames.merge.join(',')}; ${otherOutputs()}`)
    .option('--json [file]', 'as JSON, to stdout or to a file')
    .addHelpText('after', examples)
    .action(inspectModel)
}

const outputNames = {
  merge: ['hidden', 'logits', 'keep', 'gate', 'score', 'counts'],
  remedi: ['hidden', 'logits', 'confidence'],
  gpt: ['hidden', 'logits'],
  levt: ['hidden', 'logits', 'keep', 'counts'],
  maskgit: ['hidden', 'logits', 'length'],
} as const

/** The outputs of the other families, for the help. */
function otherOutputs(): string {
  const { merge: _, ...others } = outputNames
  return Object.entries(others)
    .map(([family, names]) => `${family}: ${names.join(',')}`)
    .join('; ')
}

const examples = `
Examples:
  $ merge-lm inspect -m runs/quickstart/model
  $ merge-lm inspect -m runs/quickstart/model --text "a sentence" --outputs keep,gate
  $ merge-lm inspect -m runs/quickstart/model --tokens 5,6,7 --outputs hidden,logits,keep,gate,score,counts --json out.json
  $ merge-lm inspect -m checkpoints/remedi --tokens 5,6,7 --outputs logits,confidence --json out.json
  $ merge-lm inspect -m checkpoints/remedi --prompt-tokens 5,6,7 --tokens 8,95 --outputs logits --no-cache`

async function inspectModel(flags: InspectFlags): Promise<void> {
  if (flags.tokens !== undefined && flags.text !== undefined) {
    throw new MergeError('ERR_CONFIG', 'inspect: expected --tokens or --text, received both')
  }
  const kind = await folderKind(flags.model)
  const known: readonly string[] = outputNames[kind === 'pretrained' ? 'remedi' : kind]
  const names = flags.outputs?.split(',').map((name) => name.trim()) ?? known
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new MergeError('ERR_CONFIG', `outputs: expected some of ${known.join(', ')}, received ${unknown}`)
  }
  if (kind !== 'remedi' && kind !== 'pretrained' && flags.promptTokens !== undefined) {
    throw new MergeError('ERR_CONFIG', `prompt-tokens: expected a model of family remedi, received ${kind}`)
  }
  // A folder of another program has no manifest to verify.
  const manifest = kind === 'pretrained' ? undefined : await verifyFolder(flags.model)
  await using model = await openAnyModel(flags)
  const row = rowOf(flags, model)
  if (row === undefined) {
    const facts = await factsOf(model, manifest)
    await give(flags, facts, () => renderFacts(facts))
    return
  }
  const arrays = await arraysOf(model, row, flags, names)
  const outputs = Object.fromEntries(
    names.flatMap((name) => {
      const array = arrays[name]
      return array === undefined ? [] : [[name, { shape: [...array.shape], values: [...array.values] }]]
    }),
  )
  await give(flags, { tokens: [...row], pieces: piecesOf(model, row), outputs }, () => renderOutputs(arrays, names))
}

// Ids beyond the tokenizer have no text.
function piecesOf(model: AnyModel, row: Int32Array): string[] {
  const { vocabularySize } = model.tokenizer
  return [...row].map((id) => (id < vocabularySize ? (model.tokenizer.pieces([id])[0] ?? '') : ''))
}

function arraysOf(
  model: AnyModel,
  row: Int32Array,
  flags: InspectFlags,
  names: readonly string[],
): Promise<Readonly<Record<string, NativeArray>>> {
  const session = sessionOf(model)
  if (flags.promptTokens === undefined) return session.inspect(packRows([row]), names)
  const prompt = idsOf('prompt-tokens', flags.promptTokens, model)
  return session.inspectBehind(packRows([prompt]), packRows([row]), flags.cache === false ? 'whole' : 'cached', names)
}

function rowOf(flags: InspectFlags, model: AnyModel): Int32Array | undefined {
  if (flags.text !== undefined) return model.tokenizer.encode(flags.text)
  return flags.tokens === undefined ? undefined : idsOf('tokens', flags.tokens, model)
}

function idsOf(name: string, flag: string, model: AnyModel): Int32Array {
  const ids = flag.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  const vocabularySize = embeddingsOf(model)
  const wrong = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize)
  if (wrong >= 0) {
    const received = flag.split(',')[wrong] ?? ''
    throw new MergeError(
      'ERR_INPUT',
      `${name}: expected ids 0..${vocabularySize - 1}, received ${JSON.stringify(received)}`,
    )
  }
  return Int32Array.from(ids)
}

// A checkpoint may have more rows in its embedding than its tokenizer has ids.
const embeddingsOf = ({ config, tokenizer }: AnyModel): number =>
  ('embeddings' in config ? config.embeddings : undefined) ?? tokenizer.vocabularySize

async function factsOf(model: AnyModel, manifest: Manifest | undefined) {
  const { kind, vocabularySize, special } = model.tokenizer
  const parameters = await sessionOf(model).parameters()
  return {
    kind: manifest?.kind ?? 'checkpoint',
    ...(manifest?.step === undefined ? {} : { step: manifest.step }),
    config: model.config,
    tokenizer: { kind, vocabularySize, special },
    parameterCount: model.parameterCount,
    parameters,
    files: manifest?.files ?? [],
    memory: await model.memory(),
  }
}

function renderFacts(facts: Awaited<ReturnType<typeof factsOf>>): string {
  const step = 'step' in facts ? ` of step ${facts.step}` : ''
  const table = (rows: readonly (readonly [string, string | number | boolean])[]): string[] => {
    const width = Math.max(0, ...rows.map(([name]) => name.length))
    return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
  }
  return [
    `${facts.kind}${step}, ${facts.parameterCount.toLocaleString('en')} parameters`,
    'config',
    ...table(Object.entries(facts.config).map(([name, value]) => [name, String(value)])),
    `tokenizer ${facts.tokenizer.kind}, vocabulary ${facts.tokenizer.vocabularySize}`,
    'parameters',
    ...table(facts.parameters.map(({ name, shape }) => [name, `[${shape.join(', ')}]`])),
    'files (bytes)',
    ...table(facts.files.map(({ name, bytes }) => [name, bytes.toLocaleString('en')])),
    'memory (bytes)',
    ...table(Object.entries(facts.memory).map(([name, bytes]) => [name, bytes.toLocaleString('en')])),
  ].join('\n')
}

const valuesShown = 8

function renderOutputs(arrays: Readonly<Record<string, NativeArray>>, names: readonly string[]): string {
  return names
    .flatMap((name) => {
      const array = arrays[name]
      if (array === undefined) return []
      const values = Array.from(array.values.subarray(0, valuesShown), (value) => value.toFixed(4)).join(' ')
      const more = array.values.length > valuesShown ? ' ...' : ''
      return [`${name} [${array.shape.join(', ')}]  ${values}${more}`]
    })
    .join('\n')
}

async function give(flags: InspectFlags, value: unknown, render: () => string): Promise<void> {
  if (typeof flags.json !== 'string') {
    process.stdout.write(`${flags.json === true ? JSON.stringify(value) : render()}\n`)
    return
  }
  await writeOutput('json', flags.json, `${JSON.stringify(value)}\n`)
}
