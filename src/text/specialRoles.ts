// Special roles of a `tokenizer.json`: which id is pad, bos, eos, mask, sep, and what text must not produce.

import { z } from 'zod'
import { MergeError } from '../errors.js'
import type { SpecialIds } from './tokenizer.js'

/** The parts of a `tokenizer.json` that are read here; everything else is passed on as it is. */
export const tokenizerFile = z.looseObject({
  // The vocabulary is large and may hold any key, `__proto__` too: it is read by `tokenIds`, not copied here.
  model: z.looseObject({
    type: z.string().optional(),
    vocab: z.unknown(),
    merges: z.array(z.union([z.string(), z.array(z.string())])).optional(),
    unk_token: z.string().nullish(),
    unk_id: z.int().nullish(),
  }),
  added_tokens: z
    .array(z.looseObject({ id: z.int().min(0), content: z.string().min(1), special: z.boolean().optional() }))
    .default([]),
})

/** A parsed `tokenizer.json`. */
export type TokenizerFile = z.infer<typeof tokenizerFile>

export const roles = ['pad', 'bos', 'eos', 'mask', 'sep'] as const
/** A part that a special token plays in a row. */
export type Role = (typeof roles)[number]

/** Tokens by the role they play. */
export type RoleNames = Partial<Readonly<Record<Role, string>>>

/** What each role is called in the wild, most specific first. */
const knownNames: Readonly<Record<Role, readonly string[]>> = {
  pad: ['[PAD]', '<pad>', '<|pad|>', '<|finetune_right_pad_id|>'],
  bos: ['[BOS]', '[CLS]', '<s>', '<bos>', '<|begin_of_text|>', '<|startoftext|>'],
  eos: ['[EOS]', '</s>', '<eos>', '<|end_of_text|>', '<|endoftext|>'],
  mask: ['[MASK]', '<mask>', '<|mask|>', '<|mdm_mask|>'],
  sep: ['[SEP]', '<sep>', '<|sep|>'],
}

/**
 * Which id plays which role, and every token that text must not produce. Roles without a token get new ids at the end.
 * A wanted token must be there; a usual one is taken before the names in the wild where it is there and free.
 */
export function assignRoles(file: TokenizerFile, wanted: RoleNames, usual: RoleNames = {}): Roles {
  const idOf = tokenIds(file)
  const unknown = unknownToken(file)
  const reserved = new Map<string, number>()
  for (const token of file.added_tokens) {
    if (token.special === true && token.content !== unknown) reserved.set(token.content, token.id)
  }
  let vocabularySize = 0
  for (const id of idOf.values()) vocabularySize = Math.max(vocabularySize, id + 1)
  const taken = new Set<number>()
  const assign = (role: Role): number => {
    const name = wanted[role]
    if (name !== undefined && !idOf.has(name)) {
      throw new MergeError(
        'ERR_CONFIG',
        `special.${role}: expected a token of the vocabulary, received ${JSON.stringify(name)}`,
      )
    }
    for (const candidate of name === undefined ? candidates(role, usual) : [name]) {
      const id = idOf.get(candidate)
      // One id cannot play two roles (GPT-2 has one token for both ends), nor be what unknown text becomes.
      if (id === undefined || taken.has(id) || candidate === unknown) continue
      taken.add(id)
      reserved.set(candidate, id)
      return id
    }
    if (name !== undefined) {
      throw new MergeError(
        'ERR_CONFIG',
        `special.${role}: expected a token with no other role, received ${JSON.stringify(name)}`,
      )
    }
    return vocabularySize++
  }
  const special: SpecialIds = {
    pad: assign('pad'),
    bos: assign('bos'),
    eos: assign('eos'),
    mask: assign('mask'),
    sep: assign('sep'),
  }
  return { special, vocabularySize, reserved }
}

function candidates(role: Role, usual: RoleNames): readonly string[] {
  const name = usual[role]
  // Many name their end of text where no padding was planned.
  const isOwn = role !== 'pad' || roles.every((other) => other === 'pad' || usual[other] !== name)
  return name === undefined || !isOwn ? knownNames[role] : [name, ...knownNames[role]]
}

const tokenName = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish()
  .catch(undefined)
const tokenNames = z.looseObject({
  pad_token: tokenName,
  bos_token: tokenName,
  cls_token: tokenName,
  eos_token: tokenName,
  sep_token: tokenName,
  mask_token: tokenName,
})

/** The roles that a `tokenizer_config.json` names; a text between [CLS] and [SEP] begins and ends with them. */
export function configuredRoles(config: unknown): RoleNames {
  const read = tokenNames.safeParse(config)
  if (!read.success) return {}
  const { pad_token, bos_token, cls_token, eos_token, sep_token, mask_token } = read.data
  const named: readonly (readonly [Role, string | null | undefined])[] = [
    ['pad', pad_token],
    ['bos', bos_token ?? cls_token],
    ['eos', eos_token ?? sep_token],
    ['mask', mask_token],
    ['sep', sep_token],
  ]
  return Object.fromEntries(named.flatMap(([role, name]) => (typeof name === 'string' ? [[role, name]] : [])))
}

/** What `tokenizer_config.json` says of these roles, for a `tokenizer.json` that has a token for each. */
export function roleConfig(file: TokenizerFile, special: SpecialIds): Readonly<Record<string, string>> {
  const nameOf = new Map([...tokenIds(file)].map(([name, id]) => [id, name]))
  return Object.fromEntries(roles.map((role) => [`${role}_token`, nameOf.get(special[role]) ?? '']))
}

/** What {@link assignRoles} found. */
export interface Roles {
  readonly special: SpecialIds
  /** With the ids that were added. */
  readonly vocabularySize: number
  /** Tokens of the file that text must not produce, with their ids. */
  readonly reserved: ReadonlyMap<string, number>
}

/** Ids of all tokens of the file, those of the model and the added ones. */
export function tokenIds(file: TokenizerFile): Map<string, number> {
  const ids = new Map<string, number>()
  vocabularyEntries(file.model.vocab, (token, id) => ids.set(token, id))
  for (const token of file.added_tokens) ids.set(token.content, token.id)
  return ids
}

/** Walks over a model's vocabulary: an object of ids, or a list of `[token, score]` whose positions are the ids. */
function vocabularyEntries(vocab: unknown, take: (token: string, id: number) => void): void {
  const isList = Array.isArray(vocab)
  if (typeof vocab !== 'object' || vocab === null) {
    throw new MergeError(
      'ERR_INPUT',
      `tokenizer.json: model.vocab: expected an object or a list, received ${typeof vocab}`,
    )
  }
  Object.entries(vocab).forEach(([key, value]: [string, unknown], position) => {
    const token: unknown = isList && Array.isArray(value) ? value[0] : isList ? undefined : key
    const id: unknown = isList ? position : value
    if (typeof token !== 'string' || typeof id !== 'number' || !Number.isInteger(id) || id < 0) {
      throw new MergeError(
        'ERR_INPUT',
        `tokenizer.json: model.vocab: expected tokens with ids, received ${JSON.stringify([key, value])}`,
      )
    }
    take(token, id)
  })
}

function unknownToken(file: TokenizerFile): string | undefined {
  const { vocab, unk_id, unk_token } = file.model
  let found = unk_token ?? undefined
  if (Array.isArray(vocab) && typeof unk_id === 'number') {
    vocabularyEntries(vocab, (token, id) => {
      if (id === unk_id) found = token
    })
  }
  return found
}

/** Roles that the file lacks, as added tokens, so that other programs read the same ids. */
export function missingTokens(file: TokenizerFile, special: SpecialIds) {
  const known = new Set(tokenIds(file).values())
  return roles
    .filter((role) => !known.has(special[role]))
    .sort((a, b) => special[a] - special[b])
    .map((role) => ({
      id: special[role],
      content: freshName(file, role),
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }))
}

function freshName(file: TokenizerFile, role: Role): string {
  const names = tokenIds(file)
  let name = `[${role.toUpperCase()}]`
  while (names.has(name)) name = `[${name}]`
  return name
}
