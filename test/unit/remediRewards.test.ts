// Rewards: what completions are worth.
import { describe, expect, it } from 'vitest'
import { command, editDistance, exactMatch, length, numeric, regex } from '../../src/remedi/rewards.js'

const meta = (target: string) => ({ target })

describe('rewards', () => {
  it('exactMatch', () => {
    expect(exactMatch('', ' 42\n', meta('42'))).toBe(1)
    expect(exactMatch('', '43', meta('42'))).toBe(0)
  })

  it.each([
    ['so it is 1,234.50 in all', '1234.5', 1],
    ['-3', '3', 0],
    ['7 and then 8', '#### 8', 1],
    ['none', '8', 0],
  ])('numeric: %j for %j is %i', (completion, target, reward) => {
    expect(numeric()('', completion, meta(target))).toBe(reward)
  })

  it('regex, also one that remembers where it was', () => {
    const reward = regex(/^ab/g)
    expect([reward('', 'abc', 0), reward('', 'abc', 0), reward('', 'cab', 0)]).toEqual([1, 1, 0])
  })

  it('editDistance', () => {
    expect(editDistance('', 'kitten', meta('sitting'))).toBeCloseTo(1 - 3 / 7, 12)
    expect(editDistance('', '', meta(''))).toBe(1)
    expect(editDistance('', 'a', meta('b'))).toBe(0)
  })

  it('length', () => {
    expect(['abc', 'a'.repeat(5), 'a'.repeat(9)].map((text) => length(4)('', text, 0))).toEqual([1, 0.75, 0])
  })

  it('a command judges what it reads', async () => {
    const judge = command({
      command: process.execPath,
      arguments: ['-e', 'process.exit(require("fs").readFileSync(0, "utf8") === process.env.MERGE_LM_PROMPT ? 0 : 3)'],
    })
    expect([await judge('yes', 'yes', 0), await judge('yes', 'no', 0)]).toEqual([1, 0])
    const slow = command({ command: process.execPath, arguments: ['-e', 'setInterval(() => 0, 9)'], timeoutMs: 200 })
    expect(await slow('', 'x', 0)).toBe(0)
    await expect(command({ command: '/nowhere/judge' })('', '', 0)).rejects.toMatchObject({ code: 'ERR_INPUT' })
  })
})
