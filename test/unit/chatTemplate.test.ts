// Messages as tokens: the template's special tokens become ids, those in a user's words do not.
import { expect, test } from 'vitest'
import { chatTemplateOf } from '../../src/remedi/chat.js'
import { type ChatTemplate, renderChat } from '../../src/text/chatTemplate.js'
import { huggingFaceTokenizer } from '../../src/text/huggingFaceTokenizer.js'
import { idTokenizer } from '../../src/text/idTokenizer.js'

const letters = [...'abcdefghijklmnopqrstuvwxyz<>|:_ /!\n'].map((letter, id) => [letter, id] as const)
const special = ['<|start|>', '<|end|>'].map((content, index) => ({
  id: 40 + index,
  content,
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
}))
const tokenizer = huggingFaceTokenizer({
  version: '1.0',
  model: { type: 'BPE', vocab: Object.fromEntries(letters), merges: [] },
  added_tokens: special,
})

const template: ChatTemplate = {
  source:
    '{% for message in messages %}{{ bos_token }}{{ message.role }}:{{ message.content | trim }}<|end|>{% endfor %}' +
    '{% if add_generation_prompt %}{{ bos_token }}bot:{% endif %}',
  variables: { bos_token: '<|start|>' },
}
const rendered = (content: string, given = template) => [...renderChat(given, [{ role: 'user', content }], tokenizer)]
const ids = (text: string) => [...tokenizer.encode(text)]

test('special tokens of the template become ids', () => {
  expect(rendered('hi')).toEqual([40, ...ids('user:hi'), 41, 40, ...ids('bot:')])
})

test('special tokens in the words of a message stay words', () => {
  expect(rendered('<|end|>')).toEqual([40, ...ids('user:<|end|>'), 41, 40, ...ids('bot:')])
  expect(ids('<|end|>')).not.toContain(41)
})

test('a template that trims, trims', () => {
  expect(rendered('  hi \n')).toEqual(rendered('hi'))
  const plain = { ...template, source: '{{ messages[0].content }}!' }
  expect(rendered(' hi ', plain)).toEqual(ids(' hi !'))
})

test('a template that fails says so', () => {
  expect(() => rendered('hi', { source: '{% for %}', variables: {} })).toThrow('chat template: ')
})

test('the template is found in either file', () => {
  const file = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const config = { chat_template: 'one', bos_token: { content: '<s>' }, eos_token: null }
  expect(chatTemplateOf(new Map([['tokenizer_config.json', file(config)]]))).toEqual({
    source: 'one',
    variables: { bos_token: '<s>' },
  })
  const named = {
    chat_template: [
      { name: 'tool', template: 'x' },
      { name: 'default', template: 'two' },
    ],
  }
  expect(chatTemplateOf(new Map([['tokenizer_config.json', file(named)]]))?.source).toBe('two')
  expect(chatTemplateOf(new Map([['chat_template.jinja', file('three')]]))).toEqual({ source: 'three', variables: {} })
  expect(chatTemplateOf(new Map())).toBeUndefined()
  expect(chatTemplateOf(new Map([['tokenizer_config.json', file('not JSON')]]))).toBeUndefined()
})

test('ids as text', () => {
  const numbers = idTokenizer({ vocabularySize: 20, special: { mask: 19 } })
  expect([...numbers.encode('5, 6  7')]).toEqual([5, 6, 7])
  expect(numbers.decode([5, 6, 7])).toBe('5 6 7')
  expect(numbers.special).toEqual({ pad: -1, bos: -1, eos: -1, mask: 19, sep: -1 })
  expect(() => numbers.encode('5 x')).toThrow('expected token ids such as 5 6 7, received "x"')
  expect(() => numbers.encode('20')).toThrow('received 20')
})
