// chatTemplate: messages as tokens, by the template that a checkpoint brings along. What users write can never become a
// special token: the template is rendered with marks in the place of their words, and only its own text is searched.

import { Template } from '@huggingface/jinja'
import { z } from 'zod'
import { MergeError } from '../errors.js'
import type { Tokenizer } from './tokenizer.js'

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/** A chat template and the texts that it may ask for. */
export interface ChatTemplate {
  /** Jinja source. */
  readonly source: string
  /** Texts of special tokens, as in tokenizer_config.json: `bos_token`, `eos_token`. */
  readonly variables: Readonly<Record<string, string>>
}

const addedTokens = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string().min(1), special: z.boolean().optional() })),
})

/** The prompt that asks for the next turn. */
export function renderChat(template: ChatTemplate, messages: readonly ChatMessage[], tokenizer: Tokenizer): Int32Array {
  const rendered = rendering(template, messages)
  const special = specialTokens(tokenizer)
  const ids: number[] = []
  let text = ''
  const endText = (): void => {
    ids.push(...tokenizer.encode(text))
    text = ''
  }
  for (const part of rendered) {
    if ('message' in part) {
      text += part.message
      continue
    }
    for (const piece of special.split(part.template)) {
      const id = special.ids.get(piece)
      if (id === undefined) text += piece
      else {
        endText()
        ids.push(id)
      }
    }
  }
  endText()
  return Int32Array.from(ids)
}

type Part = { readonly template: string } | { readonly message: string }

// Private-use characters stand for a message's words, with spaces around them that tell whether the template trims.
function rendering({ source, variables }: ChatTemplate, messages: readonly ChatMessage[]): Part[] {
  const marked = messages.map(({ role }, index) => ({ role, content: ` \ue000${index}\ue001 ` }))
  let text: string
  try {
    text = new Template(source).render({ ...variables, messages: marked, add_generation_prompt: true })
  } catch (cause) {
    throw new MergeError('ERR_INPUT', `chat template: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  return text.split(/( ?\ue000\d+\ue001 ?)/).flatMap((part): Part[] => {
    const index = /\ue000(\d+)\ue001/.exec(part)?.[1]
    if (index === undefined) return part === '' ? [] : [{ template: part }]
    const content = messages[Number(index)]?.content ?? ''
    const begun = part.startsWith(' ') ? content : content.trimStart()
    return [{ message: part.endsWith(' ') ? begun : begun.trimEnd() }]
  })
}

function specialTokens(tokenizer: Tokenizer): { ids: ReadonlyMap<string, number>; split: (text: string) => string[] } {
  const file = addedTokens.safeParse(tokenizer.toJSON())
  const ids = new Map(
    (file.data?.added_tokens ?? []).filter((token) => token.special === true).map((token) => [token.content, token.id]),
  )
  // Longer names first, so that none hides behind its own beginning.
  const names = [...ids.keys()]
    .sort((a, b) => b.length - a.length)
    .map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pattern = new RegExp(`(${names.join('|')})`)
  return { ids, split: (text) => (names.length === 0 ? [text] : text.split(pattern).filter((piece) => piece !== '')) }
}
