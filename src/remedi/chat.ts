// chat: the chat template among the files of a checkpoint.

import { z } from 'zod'
import type { ChatTemplate } from '../text/chatTemplate.js'

const token = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
const tokenizerConfig = z.looseObject({
  chat_template: z
    .union([
      z.string(),
      z
        .array(z.looseObject({ name: z.string(), template: z.string() }))
        .transform((list) => list.find(({ name }) => name === 'default')?.template ?? list[0]?.template),
    ])
    .optional(),
  bos_token: token.nullish(),
  eos_token: token.nullish(),
})

/** The template of chat_template.jinja, or that of tokenizer_config.json; `undefined` where there is neither. */
export function chatTemplateOf(files: ReadonlyMap<string, Uint8Array>): ChatTemplate | undefined {
  const text = (name: string): string | undefined => {
    const content = files.get(name)
    return content === undefined ? undefined : Buffer.from(content).toString('utf8')
  }
  const config = tokenizerConfig.safeParse(parsedJson(text('tokenizer_config.json'))).data
  const source = text('chat_template.jinja') ?? config?.chat_template
  if (source === undefined) return undefined
  const { bos_token, eos_token } = config ?? {}
  return { source, variables: { ...(bos_token ? { bos_token } : {}), ...(eos_token ? { eos_token } : {}) } }
}

function parsedJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
