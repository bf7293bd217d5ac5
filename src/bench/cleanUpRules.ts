// cleanUpRules: the clean-up baseline without a network. Four tables counted from sentences, one after the other.

/** Repairs a sentence that lost its case and punctuation. */
export type Repair = (text: string) => string

/**
 * Counts the tables: 1) how each word is mostly written (capitals), 2) words with an apostrophe inside (dont -> don't),
 * 3) the end mark after the first two words, 4) pairs of words with mostly a comma between them.
 */
export function trainRules(sentences: readonly string[]): Repair {
  const writing = new Table()
  const apostrophes = new Table()
  const endMarks = new Table()
  const commas = new Table()
  for (const sentence of sentences) {
    const words = sentence.split(' ').filter((word) => word !== '')
    const bare = words.map(bareOf)
    words.forEach((word, i) => {
      const clean = word.replace(edges, '')
      const next = bare[i + 1]
      // The first word's capital says nothing about the word.
      if (i > 0) writing.count(clean.toLowerCase(), clean)
      apostrophes.count(bareOf(word), clean.toLowerCase())
      if (next !== undefined) commas.count(`${bare[i]} ${next}`, word.endsWith(',') ? ',' : '')
    })
    endMarks.count(opening(bare), /[.?!]["']?$/.exec(sentence)?.[0] ?? '')
    endMarks.count('', /[.?!]["']?$/.exec(sentence)?.[0] ?? '')
  }
  return (text) => {
    const given = text.split(' ').filter((word) => word !== '')
    const bare = given.map(bareOf)
    const words = given.map((word, i) => {
      const mapped = word === bare[i] ? (apostrophes.most(word) ?? word) : word
      const written = mapped === mapped.toLowerCase() ? (writing.most(mapped) ?? mapped) : mapped
      const next = bare[i + 1]
      const comma =
        next !== undefined && /[\p{L}\p{N}]$/u.test(word) ? (commas.most(`${bare[i]} ${next}`, 2) ?? '') : ''
      return (i === 0 ? capital(written) : written) + comma
    })
    const line = words.join(' ')
    return line === '' || /[.?!]["']?$/.test(line)
      ? line
      : line + (endMarks.most(opening(bare)) ?? endMarks.most('') ?? '.')
  }
}

/** The other baseline: a capital at the start, a full stop at the end. */
export const capitalAndFullStop: Repair = (text) => (/[.?!]["']?$/.test(text) ? capital(text) : `${capital(text)}.`)

/** Punctuation at a word's ends. */
const edges = /^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu

/** A word as the damaged text has it: small letters, no marks. */
const bareOf = (word: string): string => word.toLowerCase().replace(/[.,?!'";:]/g, '')

const opening = (bare: readonly string[]): string => bare.slice(0, 2).join(' ')

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Counts values by key and tells the most frequent one. */
class Table {
  private readonly rows = new Map<string, Map<string, number>>()

  count(key: string, value: string): void {
    const row = this.rows.get(key) ?? new Map<string, number>()
    row.set(value, (row.get(value) ?? 0) + 1)
    this.rows.set(key, row)
  }

  /** The most frequent value, if it was seen often enough. */
  most(key: string, atLeast = 1): string | undefined {
    let best: string | undefined
    let most = atLeast - 1
    for (const [value, count] of this.rows.get(key) ?? []) {
      if (count > most) [best, most] = [value, count]
    }
    return best
  }
}
