// huggingFaceTokenizer: any `tokenizer.json` of Hugging Face, guarded so that text can never produce a special id.

import { Tokenizer as Engine } from '@huggingface/tokenizers'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import { checkValue } from '../parseConfig.js'
import { boundaryMap } from './boundaryMap.js'
import { byteCharacters, byteLevelEncoder } from './byteLevelEncoder.js'
import { ByteRun } from './byteRun.js'
import {
  assignRoles,
  missingTokens,
  type Role,
  roles,
  type TokenizerFile,
  tokenIds,
  tokenizerFile,
} from './specialRoles.js'
import {
  checkId,
  defaultMaxInputLength,
  spansOfPieces,
  type Tokenizer,
  type TokenizerJson,
  wellFormedInput,
} from './tokenizer.js'

/** Options of {@link huggingFaceTokenizer}. */
export interface HuggingFaceTokenizerOptions {
  /** Text of the token that plays a role, where it is not a usual name such as `[MASK]` or `<s>`. */
  readonly special?: Partial<Readonly<Record<Role, string>>>
  /** The same, where the file has such a token and no other role took it; the usual names come after these. */
  readonly usual?: Partial<Readonly<Record<Role, string>>>
  /** Longest text, in UTF-16 units. Default 1,048,576. */
  readonly maxInputLength?: number
}

/**
 * A tokenizer from the content of a `tokenizer.json`. Roles (pad, bos, eos, mask, sep) that the file has no token for
 * get new ids at the end of the vocabulary. Tokens the file marks as special are taken out of the engine's reach: their
 * text inside user text is tokenized as ordinary characters.
 */
export function huggingFaceTokenizer(json: unknown, options: HuggingFaceTokenizerOptions = {}): Tokenizer {
  const parsed = checkValue(tokenizerFile, json, '')
  if (!parsed.success) {
    throw new MergeError(
      'ERR_INPUT',
      `tokenizer.json: expected a Hugging Face tokenizer, ${parsed.problems.join('; ')}`,
    )
  }
  const file = parsed.data
  const maxInputLength = options.maxInputLength ?? defaultMaxInputLength
  const { special, vocabularySize, reserved } = assignRoles(file, options.special ?? {}, options.usual)
  const reservedIds = new Set([...reserved.values(), ...roles.map((role) => special[role])])
  const engine = openEngine(file, reserved)
  const lossless = isByteLevel(file)
  const free = new Map([...tokenIds(file)].filter(([, id]) => !reservedIds.has(id)))
  const encodeBytes = lossless ? byteLevelEncoder(file, free) : undefined

  const encode = (text: string): Int32Array => {
    const clean = wellFormedInput(text, maxInputLength)
    if (encodeBytes !== undefined) return encodeBytes(clean)
    if (clean === '') return new Int32Array(0)
    const { ids } = engine.encode(clean, { add_special_tokens: false })
    for (const id of ids) {
      if (!Number.isInteger(id) || reservedIds.has(id)) {
        throw new MergeError('ERR_INTERNAL', `tokenizer: text produced the id ${id}, which text must not produce`)
      }
    }
    return Int32Array.from(ids)
  }

  const decodeText = (ids: number[]): string =>
    ids.length === 0 ? '' : engine.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false })

  const pieces = (ids: Iterable<number>): string[] => {
    const all = Array.from(ids, (id) => checkId(id, vocabularySize))
    if (lossless) return bytePieces(all, (id) => (reservedIds.has(id) ? undefined : engine.id_to_token(id)))
    const shares = sharesOf(
      all.filter((id) => !reservedIds.has(id)),
      decodeText,
    )
    let next = 0
    return all.map((id) => (reservedIds.has(id) ? '' : (shares[next++] ?? '')))
  }

  const decode = (ids: Iterable<number>): string => {
    if (lossless) return pieces(ids).join('')
    return decodeText(Array.from(ids, (id) => checkId(id, vocabularySize)).filter((id) => !reservedIds.has(id)))
  }

  const spans = (text: string): Int32Array => {
    const ids = encode(text)
    const result = spansOfPieces(pieces(ids))
    if (lossless) return result
    const decoded = decode(ids)
    const original = wellFormedInput(text, maxInputLength)
    if (decoded === original) return result
    // The tokenizer normalizes (lower case, spaces): its offsets are carried over to the text that was given.
    const map = boundaryMap(decoded, original)
    return result.map((offset) => map(offset))
  }

  const toJSON = (): TokenizerJson => ({
    ...file,
    added_tokens: [...file.added_tokens, ...missingTokens(file, special)],
  })

  return {
    kind: 'huggingface',
    vocabularySize,
    shift: -1,
    special,
    maxInputLength,
    lossless,
    encode,
    decode,
    pieces,
    spans,
    toJSON,
  }
}

/** The engine over the same file without the reserved tokens, so that no path of it can produce one. */
function openEngine(file: TokenizerFile, reserved: ReadonlyMap<string, number>): Engine {
  const { vocab, merges } = file.model
  const isFree = (token: unknown): boolean => typeof token !== 'string' || !reserved.has(token)
  const model = {
    ...file.model,
    vocab: Array.isArray(vocab)
      ? vocab.map((entry: unknown) =>
          Array.isArray(entry) && !isFree(entry[0]) ? [unreachable, ...entry.slice(1)] : entry,
        )
      : Object.fromEntries(Object.entries(vocab ?? {}).filter(([token]) => isFree(token))),
    merges: merges?.filter((merge) => isFree(typeof merge === 'string' ? merge.replace(' ', '') : merge.join(''))),
  }
  const parts = {
    normalizer: null,
    pre_tokenizer: null,
    decoder: null,
    ...file,
    model,
    added_tokens: file.added_tokens.filter((token) => isFree(token.content)),
    // Sentinels are ours to add.
    post_processor: null,
  }
  try {
    return new Engine(parts, {})
  } catch (cause) {
    throw new MergeError(
      'ERR_INPUT',
      `tokenizer.json: not usable (${cause instanceof Error ? cause.message : cause})`,
      { cause },
    )
  }
}

/** Stands for a reserved entry of a Unigram list, whose ids are its positions; well-formed text cannot contain it. */
const unreachable = '\ud800\ud800'

/** Byte-level tokens say which bytes they are; added tokens and special ids end a run of bytes. */
function bytePieces(ids: readonly number[], tokenOf: (id: number) => string | undefined): string[] {
  const result: string[] = []
  const run = new ByteRun()
  for (const id of ids) {
    const token = tokenOf(id)
    const bytes = token === undefined ? [] : [...token].map((character) => byteOf.get(character))
    if (bytes.length > 0 && bytes.every((byte) => byte !== undefined)) {
      result.push(bytes.map((byte) => run.add(byte)).join(''))
    } else {
      run.endInto(result)
      result.push(token ?? '')
    }
  }
  run.endInto(result)
  return result
}

/** Each token's share of the decoded text. A window of tokens is decoded again only until its text is complete. */
function sharesOf(ids: number[], decode: (ids: number[]) => string): string[] {
  const whole = decode(ids)
  const shares: string[] = []
  let from = 0
  let known = ''
  ids.forEach((_, i) => {
    const text = decode(ids.slice(from, i + 1))
    // An incomplete character shows as U+FFFD until its last byte has come.
    if (text.endsWith('\ufffd') && i - from < 8 && i + 1 < ids.length) {
      shares.push('')
      return
    }
    shares.push(text.slice(known.length))
    from = i
    known = decode(ids.slice(i, i + 1))
  })
  return shares.join('') === whole ? shares : sharesByPrefix(ids, whole, decode)
}

/** The slow, always right way: where does each prefix end in the whole text? */
function sharesByPrefix(ids: number[], whole: string, decode: (ids: number[]) => string): string[] {
  let end = 0
  return ids.map((_, i) => {
    const prefix = i + 1 === ids.length ? whole : decode(ids.slice(0, i + 1))
    let common = end
    while (common < prefix.length && prefix[common] === whole[common]) common++
    const share = whole.slice(end, common)
    end = common
    return share
  })
}

/** Byte-level with all bytes known, no normalizer, no added space and no greedy added token loses nothing. */
function isByteLevel(file: TokenizerFile): boolean {
  const level = z.looseObject({ type: z.literal('ByteLevel') })
  const shape = z.looseObject({
    normalizer: z.null().optional(),
    pre_tokenizer: level.extend({ add_prefix_space: z.literal(false) }),
    decoder: level,
  })
  const ids = tokenIds(file)
  const isGreedy = file.added_tokens.some(
    (token) => token.special !== true && (token.lstrip === true || token.rstrip === true),
  )
  return shape.safeParse(file).success && !isGreedy && byteCharacters().every((character) => ids.has(character))
}

const byteOf: ReadonlyMap<string, number> = new Map(byteCharacters().map((character, byte) => [character, byte]))
