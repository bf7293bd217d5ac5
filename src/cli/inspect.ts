// merge-lm inspect: what a model folder holds, and the inner values of a forward pass.

import type { Command } from 'commander'
import { MergeError } from '../errors.js'
import { type MergeModel, sessionOf } from '../model.js'
import type { NativeArray } from '../native.js'
import { packRows } from '../rows.js'
import { type Manifest, verifyFolder } from '../savedFolder.js'
import { type ModelFlags, openModel, takesModel } from './modelOptions.js'
import { writeOutput } from './terminal.js'

interface InspectFlags extends ModelFlags {
  readonly tokens?: string
  readonly text?: string
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
          'of the inner values of a forward pass, one row.',
      ),
  )
    .option('--tokens <ids>', 'a row of token ids, such as 5,6,7')
    .option('--text <text>', 'a text instead of ids')
    .option('--outputs <names>', `some of ${outputNames.join(',')}`, outputNames.join(','))
    .option('--json [file]', 'as JSON, to stdout or to a file')
    .addHelpText('after', examples)
    .action(inspectModel)
}

const outputNames = ['hidden', 'logits', 'keep', 'gate', 'score', 'counts']

const examples = `
Examples:
  $ merge-lm inspect -m runs/quickstart/model
  $ merge-lm inspect -m runs/quickstart/model --text "a sentence" --outputs keep,gate
  $ merge-lm inspect -m runs/quickstart/model --tokens 5,6,7 --outputs hidden,logits,keep,gate,score,counts --json out.json`

async function inspectModel(flags: InspectFlags): Promise<void> {
  if (flags.tokens !== undefined && flags.text !== undefined) {
    throw new MergeError('ERR_CONFIG', 'inspect: expected --tokens or --text, received both')
  }
  const names = flags.outputs?.split(',').map((name) => name.trim()) ?? []
  const unknown = names.find((name) => !outputNames.includes(name))
  if (unknown !== undefined) {
    throw new MergeError('ERR_CONFIG', `outputs: expected some of ${outputNames.join(', ')}, received ${unknown}`)
  }
  const manifest = await verifyFolder(flags.model)
  await using model = await openModel(flags)
  const row = rowOf(flags, model)
  if (row === undefined) {
    const facts = await factsOf(model, manifest)
    await give(flags, facts, () => renderFacts(facts))
    return
  }
  const arrays = await sessionOf(model).inspect(packRows([row]), names)
  const outputs = Object.fromEntries(
    names.flatMap((name) => {
      const array = arrays[name]
      return array === undefined ? [] : [[name, { shape: [...array.shape], values: [...array.values] }]]
    }),
  )
  await give(flags, { tokens: [...row], pieces: model.tokenizer.pieces(row), outputs }, () =>
    renderOutputs(arrays, names),
  )
}

function rowOf(flags: InspectFlags, model: MergeModel): Int32Array | undefined {
  if (flags.text !== undefined) return model.tokenizer.encode(flags.text)
  if (flags.tokens === undefined) return undefined
  const ids = flags.tokens.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  const { vocabularySize } = model.tokenizer
  const wrong = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize)
  if (wrong >= 0) {
    const received = flags.tokens.split(',')[wrong] ?? ''
    throw new MergeError(
      'ERR_INPUT',
      `tokens: expected ids 0..${vocabularySize - 1}, received ${JSON.stringify(received)}`,
    )
  }
  return Int32Array.from(ids)
}

async function factsOf(model: MergeModel, manifest: Manifest) {
  const { kind, vocabularySize, special } = model.tokenizer
  const parameters = await sessionOf(model).parameters()
  return {
    kind: manifest.kind,
    ...(manifest.step === undefined ? {} : { step: manifest.step }),
    config: model.config,
    tokenizer: { kind, vocabularySize, special },
    parameterCount: model.parameterCount,
    parameters,
    files: manifest.files,
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
    ...table(Object.entries(facts.config)),
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
