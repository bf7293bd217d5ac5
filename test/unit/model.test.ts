// MergeModel over a fake session: results, locks, holes, batches, limits, disposal, saved folders.
import { mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { modelConfig } from '../../src/config.js'
import { modelOver } from '../../src/model.js'
import { verifyFolder } from '../../src/savedFolder.js'
import { characterTokenizer } from '../../src/text/characterTokenizer.js'
import { applyEdits } from '../../src/text/editScript.js'
import { type FakeBehaviour, type FakePiece, type FakeRow, fakeSession } from './fakeSession.js'

const tokenizer = characterTokenizer({ alphabet: "abcdefghijklmnopqrstuvwxyz .,'_", caseShift: true })
const config = modelConfig.parse({ maxLength: 24 })
const [shift = -1, small = -1] = tokenizer.encode('A')
const dot = tokenizer.encode('.')[0] ?? -1

// Puts a capital at the beginning and a full stop at the end, where it may.
const cleanUp = ({ tokens, open }: FakeRow): FakePiece[] => [
  ...(open[0] !== 0 && tokens.length > 0 && tokens[0] !== shift ? [{ insert: shift, confidence: 0.75 }] : []),
  ...tokens.map((_, index) => ({ keep: index })),
  ...(open[tokens.length] !== 0 && tokens.at(-1) !== dot ? [{ insert: dot }] : []),
]

async function modelWith(behaviour: FakeBehaviour = { round: cleanUp }) {
  const session = fakeSession(behaviour)
  return { session, model: await modelOver(session, config, tokenizer) }
}

describe('edit', () => {
  it('gives text, edits, rounds, reason and confidence', async () => {
    const { model } = await modelWith()
    const result = await model.edit('tom ran')
    expect(result).toMatchObject({ text: 'Tom ran.', rounds: 2, stopReason: 'converged', truncated: false })
    expect(result.edits.map(({ kind, start, end, text }) => [kind, start, end, text])).toEqual([
      ['replace', 0, 1, 'T'],
      ['insert', 7, 7, '.'],
    ])
    expect(result.confidence).toBeCloseTo(0.625, 6)
    expect(applyEdits('tom ran', result.edits)).toBe(result.text)
  })

  it('leaves locked spans alone', async () => {
    const { model } = await modelWith()
    expect((await model.edit('tom ran', { locked: [[3, 7]] })).text).toBe('Tom ran.')
    const seen: FakeRow[] = []
    const spy = await modelWith({
      round: (row) => {
        seen.push(row)
        return row.tokens.map((_, keep) => ({ keep }))
      },
    })
    await spy.model.edit('a Bc d', { locked: [[2, 4]] })
    // B is two tokens; the lock covers both, and closes the gaps between them and before c.
    expect(seen[0]?.locked).toEqual([0, 0, 1, 1, 1, 0, 0])
    expect(seen[0]?.open).toEqual([1, 1, 1, 0, 0, 1, 1, 1])
  })

  it('edits many, in the order they came', async () => {
    const { model, session } = await modelWith()
    const texts = ['a longer one', 'b', '', 'Done.', 'c d']
    const results = await model.edit(texts, { batchRows: 2 })
    expect(results.map((result) => result.text)).toEqual(['A longer one.', 'B.', '.', 'Done.', 'C d.'])
    expect(Math.max(...session.calls)).toBe(2)
    const alone = await Promise.all(texts.map((text) => model.edit(text)))
    expect(results).toEqual(alone)
  })

  it.each([
    ['x'.repeat(25), {}, 'text: expected at most 24 tokens (maxLength), received 25'],
    ['tom', { locked: [[0, 9]] as [number, number][] }, 'locked: expected 0 <= start <= end <= 3, received [0, 9]'],
    ['tom', { locked: [[2, 1]] as [number, number][] }, 'locked: expected 0 <= start <= end <= 3, received [2, 1]'],
  ])('refuses %s', async (text, options, message) => {
    const { model } = await modelWith()
    await expect(model.edit(text, options)).rejects.toMatchObject({ code: 'ERR_INPUT', message })
  })

  it('refuses a misspelt option', async () => {
    const { model } = await modelWith()
    const options = Object.fromEntries([['maxRound', 3]])
    const message = 'maxRound: unknown key; did you mean "maxRounds"?'
    await expect(model.edit('tom', options)).rejects.toMatchObject({ code: 'ERR_CONFIG', message })
  })
})

describe('generate and infill', () => {
  it('a prompt grows at its end only', async () => {
    const { model } = await modelWith()
    expect((await model.generate('tom ran')).text).toBe('tom ran.')
  })

  it('a text grows in its holes only', async () => {
    const fill = ({ tokens, open }: FakeRow): FakePiece[] =>
      open.flatMap((isOpen, gap): FakePiece[] => [
        ...(isOpen !== 0 && !tokens.includes(small) ? [{ insert: small, confidence: 0.95 }] : []),
        ...(gap < tokens.length ? [{ keep: gap }] : []),
      ])
    const { model } = await modelWith({ round: fill })
    expect((await model.infill('b___d___')).text).toBe('bada')
    expect((await model.infill({ prefix: 'b', suffix: 'd' })).text).toBe('bad')
    expect((await model.infill(['', 'b'])).text).toBe('ab')
    expect((await model.infill('b*d', { hole: '*' })).edits).toMatchObject([
      { kind: 'insert', start: 1, end: 1, text: 'a' },
    ])
    await expect(model.infill('bd')).rejects.toMatchObject({ code: 'ERR_INPUT' })
  })
})

describe('refine', () => {
  it('yields rounds, and stops where the caller stops', async () => {
    const { model, session } = await modelWith()
    for await (const round of model.refine('tom')) {
      expect(round.text).toBe('Tom.')
      break
    }
    expect(session.calls).toEqual([1])
  })
})

describe('dispose', () => {
  it('refuses later calls, and may be called twice', async () => {
    const { model } = await modelWith()
    await model.dispose()
    await model.dispose()
    await expect(model.edit('a')).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    await expect(model.save('/nowhere')).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
  })

  it('await using disposes', async () => {
    const { model } = await modelWith()
    {
      await using scoped = model
      await scoped.edit('a')
    }
    await expect(model.generate('a')).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
  })

  it('ends a loop that is under way', async () => {
    const { model } = await modelWith({
      round: ({ tokens }) => [...tokens.map((_, keep) => ({ keep })), { insert: small }],
    })
    const editing = model.edit('a')
    await model.dispose()
    await expect(editing).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
  })
})

describe('save', () => {
  it('writes a folder that verifies', async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'model-')), 'saved')
    const { model } = await modelWith()
    await model.save(folder)
    await model.save(folder)
    expect((await readdir(folder)).sort()).toEqual([
      'config.json',
      'manifest.json',
      'model.safetensors',
      'tokenizer.json',
    ])
    expect((await verifyFolder(folder)).kind).toBe('model')
    expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))).toMatchObject({
      format: 1,
      model: { maxLength: 24 },
    })
  })

  it('counts parameters', async () => {
    expect((await modelWith()).model.parameterCount).toBe(41)
  })
})
