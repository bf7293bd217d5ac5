// Small tokenizer.json contents of each model family, as Hugging Face writes them.

const added = (id: number, content: string, special = true) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special,
})

/** Byte-level BPE with two merges, `__proto__` as a token, and letters that would merge into `<s>`. */
export function byteLevelJson(): unknown {
  const special = ['[PAD]', '[BOS]', '[EOS]', '[MASK]', '[SEP]', '<|gap|>', '<s>']
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const tokens = [...special, ...byteCharacters(), 'th', 'the', '<s', '__', '__proto__']
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]))
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => added(id, content)),
    normalizer: null,
    pre_tokenizer: level,
    post_processor: null,
    decoder: level,
    model: {
      type: 'BPE',
      vocab,
      merges: [
        ['t', 'h'],
        ['th', 'e'],
        ['<', 's'],
        ['<s', '>'],
        ['_', '_'],
      ],
    },
  }
}

/** WordPiece as BERT has it: lower case, [UNK], no end-of-text token. */
export function wordPieceJson(): unknown {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
  const pieces = ['the', 'cat', 'sat', 'a', '##s', 'b', 'c', 'on', ',', '.', 'mask', '[', ']', '5', 'no']
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => added(id, content)),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: null,
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries([...special, ...pieces].map((token, id) => [token, id])),
    },
  }
}

/** Unigram as T5 has it: ids are positions, `<s>` and `</s>` stand in the list. */
export function unigramJson(): unknown {
  const metaspace = { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true }
  return {
    version: '1.0',
    added_tokens: [added(0, '<pad>'), added(1, '</s>'), added(2, '<unk>'), added(3, '<s>')],
    normalizer: null,
    pre_tokenizer: metaspace,
    post_processor: null,
    decoder: metaspace,
    model: {
      type: 'Unigram',
      unk_id: 2,
      vocab: [
        ['<pad>', 0],
        ['</s>', 0],
        ['<unk>', 0],
        ['<s>', 0],
        ['\u2581', -2],
        ['\u2581the', -3],
        ['\u2581cat', -4],
        ['s', -5],
        ['a', -5],
        ['t', -5],
        ['.', -5],
        ['<', -6],
        ['>', -6],
      ],
    },
  }
}

function byteCharacters(): string[] {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCharCode(isPrintable ? byte : next++)
  })
}
