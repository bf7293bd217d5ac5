// baselines: the families that commands know as editors alone: how each is loaded, and which flags it takes.

import { GptModel } from '../baselines/gpt.js'
import { LevtModel } from '../baselines/levt.js'
import { MaskGitModel } from '../baselines/maskgit.js'
import { type EditingModel, editDrafts } from '../editor.js'
import { MergeError } from '../errors.js'
import { holdInterrupts } from './interrupt.js'
import { type AnyModelFlags, placementOf, type RefineFlags } from './modelOptions.js'
import { visible } from './terminal.js'
import { inputTexts, placed } from './textInput.js'

/** The families and their models. */
interface Models {
  readonly gpt: GptModel
  readonly levt: LevtModel
  readonly maskgit: MaskGitModel
}

interface Family<M> {
  readonly load: (folder: string, options: LoadFlags) => Promise<M>
  /** Flags of a refinement loop that are options of its editor, too. */
  readonly flags: readonly (keyof RefineFlags)[]
}

const sampling = ['temperature', 'topK', 'topP', 'seed'] as const

const families: { readonly [K in keyof Models]: Family<Models[K]> } = {
  gpt: { load: (...call) => GptModel.load(...call), flags: sampling },
  levt: { load: (...call) => LevtModel.load(...call), flags: ['maxRounds', 'keepThreshold'] },
  maskgit: { load: (...call) => MaskGitModel.load(...call), flags: ['maxRounds', ...sampling] },
}

export type BaselineFamily = keyof Models
/** A model of one of these families. */
export type BaselineModel = Models[BaselineFamily]

/** Their words in config.json. */
export const baselineFamilies: readonly string[] = Object.keys(families)

/** Whether a folder's `family` is one of these. */
export function isBaseline(family: unknown): family is BaselineFamily {
  return typeof family === 'string' && Object.hasOwn(families, family)
}

type LoadFlags = ReturnType<typeof placementOf>

/** Loads a model with the flags of a command. */
export function openBaseline<K extends BaselineFamily>(family: K, flags: AnyModelFlags): Promise<Models[K]> {
  return families[family].load(flags.model, placementOf(flags))
}

/** The options of the family's editor among the flags; those of other families are refused, for they would do nothing. */
export function editorOptions(family: BaselineFamily, flags: RefineFlags): Readonly<Record<string, unknown>> {
  const known = families[family].flags
  const { maxRounds, editThreshold, keepThreshold, fillThreshold, temperature, topK, topP, seed, condition } = flags
  const given = defined({
    maxRounds,
    editThreshold,
    keepThreshold,
    fillThreshold,
    temperature,
    topK,
    topP,
    seed,
    condition,
  })
  const wrong = Object.keys(given).find((name) => !known.some((flag) => flag === name))
  if (wrong === undefined) return given
  const flag = wrong.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  throw new MergeError('ERR_CONFIG', `${flag}: expected a model of family merge, received ${family}`)
}

/** `merge-lm edit` with such a model: the argument, or every line of stdin. */
export async function editWithBaseline(
  family: BaselineFamily,
  argument: string | undefined,
  flags: AnyModelFlags & RefineFlags & { readonly json?: boolean },
): Promise<void> {
  using interrupt = holdInterrupts(() => process.stderr.write('\nStopping after this round.\n'))
  const options = { ...editorOptions(family, flags), signal: interrupt.signal }
  await using model = await openBaseline(family, flags)
  const editor = editorOf(model, options)
  for await (const inputs of inputTexts(argument, interrupt.signal)) {
    // Each line is checked with its number before any is edited.
    const drafts = inputs.map((input) => placed(input, (text) => editor.draft(text)))
    for (const result of await editDrafts(editor, drafts)) {
      process.stdout.write(`${flags.json === true ? JSON.stringify(result) : shownAnswer(result.text, argument)}\n`)
    }
  }
}

// Each family checks the options that are its own.
const editorOf = (model: EditingModel, options: object) => model.editor(options)

/** One line of stdin gives one line of stdout; what goes to a terminal cannot steer it. */
export function shownAnswer(text: string, argument: string | undefined): string {
  const isOne = argument !== undefined && argument !== '-'
  const whole = isOne ? text : text.replace(/\r?\n/g, ' ')
  return process.stdout.isTTY ? whole.split('\n').map(visible).join('\n') : whole
}

function defined<T extends object>(flags: T): { [K in keyof T]?: Exclude<T[K], undefined> }
function defined(flags: object): object {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
}
