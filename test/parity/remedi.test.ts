// RemeDi's losses and log-probabilities of the engine against their TypeScript references, fed with the engine's own
// logits; rollouts; and training through the one Trainer, from base to Remask-RL.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NativeSession } from '../../src/native.js'
import { randomFrom } from '../../src/random.js'
import { confidenceLabels, confidenceLoss, logProbability, tokenLoss } from '../../src/remedi/losses.js'
import { drawOther, noisyCopy } from '../../src/remedi/noise.js'
import { bernoulliSet, plackettLuce } from '../../src/remedi/policy.js'
import { type RolloutContext, rollouts, trajectoryOf, visibleAfter } from '../../src/remedi/rollout.js'
import { packRows } from '../../src/rows.js'
import { trainCharacterTokenizer } from '../../src/text/characterTokenizer.js'
import { Trainer } from '../../src/training/trainer.js'
import { openRemedi, type TestModel } from './remediModel.js'

const blockLength = 8
const tokenizer = trainCharacterTokenizer(['abcdefghijk'], { caseShift: false })
const mask = tokenizer.special.mask
const vocabulary = tokenizer.vocabularySize
const shape = { layers: 2, width: 32, heads: 2, policyBlocks: 2, policyPositions: [0, 1], blockLength, maxLength: 48 }
const update = {
  seed: 1,
  step: 0,
  learningRate: 1e-2,
  secondLearningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  clip: 1,
  accumulation: 1,
  blockLength,
}
const close = (actual: number | undefined, expected: number, relative = 1e-5) =>
  expect(Math.abs((actual ?? Number.NaN) - expected)).toBeLessThanOrEqual(relative * (1 + Math.abs(expected)))

/** Rows of one block without a prompt: what a noisy block sees is itself, as `inspect` shows it. */
function blocks(count: number, seed: number) {
  const clean = Array.from({ length: count }, (_, row) => {
    const random = randomFrom(seed, 0, row)
    return Int32Array.from({ length: blockLength }, () => 5 + random.integer(11))
  })
  const all = packRows(clean).tokens
  const wrongToken = (original: number, random: ReturnType<typeof randomFrom>) => drawOther(all, original, random)
  const noise = { blockLength, mask, monotone: 'enforce', wrongRatio: 0.25, wrongToken } as const
  return { clean, noisy: clean.map((row, index) => noisyCopy(row, noise, randomFrom(seed, 1, index))) }
}

async function read(session: NativeSession, rows: readonly Int32Array[]) {
  const { logits, confidence } = await session.inspect(packRows(rows), ['logits', 'confidence'])
  return { logits: logits?.values ?? new Float32Array(), confidence: confidence?.values ?? new Float32Array() }
}

let model: TestModel
beforeAll(async () => {
  model = await openRemedi(tokenizer, shape)
  // A few steps off the zeros of the start.
  const { clean, noisy } = blocks(16, 9)
  const step = { ...update, weightConfidence: 1, confidenceSmoothing: 0, ownMistakes: false }
  for (let index = 0; index < 20; index++) {
    await model.session.trainStep({ ...step, step: index }, packRows(noisy), packRows(clean))
  }
})
afterAll(() => model.dispose())

describe('Remask-SFT', () => {
  it.each([0, 0.05])('both terms are those of the reference, smoothing %d', async (smoothing) => {
    const { clean, noisy } = blocks(12, 3)
    const { logits, confidence } = await read(model.session, noisy)
    const positions = {
      logits,
      clean: packRows(clean).tokens,
      noisy: packRows(noisy).tokens,
      mask,
      vocabulary,
      blockLength,
    }
    const step = { ...update, weightConfidence: 0.3, confidenceSmoothing: smoothing, ownMistakes: false }
    const report = await model.session.evaluate(step, packRows(noisy), packRows(clean))
    const token = tokenLoss(positions)
    const sure = confidenceLoss(confidence, confidenceLabels(positions, smoothing))
    close(report.token, token)
    close(report.confidence, sure)
    close(report.total, token + 0.3 * sure)
    expect(report.wrongs).toBeGreaterThan(3)
  })
})

const runContext = (policy: 'plackett-luce' | 'bernoulli' | 'masked', stepsPerBlock = 3): RolloutContext => ({
  session: model.session,
  blockLength,
  mask,
  endOfText: new Set([2]),
  forbidden: Int32Array.from([0, 1, 4]),
  vocabulary,
  maxLength: 48,
  recipe: { seed: 4, stepsPerBlock, temperature: 1.2, orderTemperature: 0.9, policy, maxTokens: 24 },
})

describe('Remask-RL', () => {
  const prompts = Array.from({ length: 9 }, (_, row) => Int32Array.from({ length: row }, (_, i) => 5 + (i % 11)))

  it.each(['plackett-luce', 'masked', 'bernoulli'] as const)('runs of the policy %s are whole', async (policy) => {
    const context = runContext(policy)
    const runs = await rollouts(prompts, 7, context)
    for (const { prompt, answer, states, ranks, remasks } of runs) {
      expect(answer.length % blockLength).toBe(0)
      expect(prompt.length + answer.length).toBeLessThanOrEqual(48)
      expect([...answer].every((token) => token !== mask && !context.forbidden.includes(token))).toBe(true)
      const ends = [...answer.keys()].filter((at) => answer[at] === 2)
      const before = answer.length - blockLength
      expect(answer.length === 24 || ends.length > 0).toBe(true)
      expect(ends.every((at) => at >= before)).toBe(true)
      expect(states.every((state) => state.length === answer.length)).toBe(true)
      expect(states[0]?.every((token) => token === mask)).toBe(true)
      const counts = visibleAfter(blockLength, 3)
      for (let block = 0; block < answer.length && policy !== 'bernoulli'; block += blockLength) {
        states.slice(1).forEach((state, step) => {
          const visible = state.subarray(block, block + blockLength).filter((token) => token !== mask)
          expect(visible).toHaveLength(counts[step] ?? -1)
        })
      }
      // What has a place in the order of a step stands after it.
      ranks.forEach((order, step) => {
        const after = states[step + 1] ?? answer
        order.forEach((rank, at) => {
          if (policy !== 'masked') expect(rank >= 0).toBe(after[at] !== mask)
        })
      })
      if (policy === 'masked') expect(remasks).toBe(0)
    }
    if (policy === 'plackett-luce') expect(runs.some(({ remasks }) => remasks > 0)).toBe(true)
  })

  it('a row runs the same alone; another step runs otherwise', async () => {
    const context = runContext('plackett-luce')
    const all = await rollouts(prompts, 7, context)
    const two = await rollouts(prompts.slice(0, 2), 7, context)
    expect(two.map(({ answer }) => [...answer])).toEqual(all.slice(0, 2).map(({ answer }) => [...answer]))
    const later = await rollouts(prompts, 8, context)
    expect(later.map(({ answer }) => [...answer])).not.toEqual(all.map(({ answer }) => [...answer]))
  })

  it.each(['plackett-luce', 'masked', 'bernoulli'] as const)(
    'log-probabilities of the policy %s are those of the reference',
    async (policy) => {
      const context = { ...runContext(policy), recipe: { ...runContext(policy).recipe, maxTokens: blockLength } }
      const empty = Array.from({ length: 6 }, () => new Int32Array(0))
      const runs = await rollouts(empty, 3, context)
      const run = trajectoryOf(
        runs,
        runs.map(() => 1),
        context,
      )
      const options = { ...update, temperature: 1.2, orderTemperature: 0.9, policy, ratioClip: 0.2, klWeight: 0 }
      const { token, set } = await model.session.policyLogs(options, run)
      expect(token?.shape).toEqual([3, 6])
      for (let step = 0; step < 3; step++) {
        const states = runs.map(({ states: all }) => all[step] ?? new Int32Array())
        const { logits, confidence } = await read(model.session, states)
        const scaled = logits.map((logit, at) => {
          const id = at % vocabulary
          return id === mask || context.forbidden.includes(id) ? -1e30 : logit / 1.2
        })
        runs.forEach(({ states: all, answer, ranks }, row) => {
          const [state, after] = [all[step] ?? [], all[step + 1] ?? answer]
          const order = [...(ranks[step] ?? [])]
          const picked = order.flatMap((rank, at) => (rank < 0 ? [] : [{ rank, at }])).sort((a, b) => a.rank - b.rank)
          const filled = picked.filter(({ at }) => state[at] === mask)
          const expected = filled.reduce(
            (sum, { at }) => sum + logProbability(scaled, row * blockLength + at, vocabulary, after[at] ?? 0),
            0,
          )
          close(token?.values[step * 6 + row], expected, 2e-5)
          const scores = [...confidence.subarray(row * blockLength, (row + 1) * blockLength)].map((h) => h / 0.9)
          const places = picked.map(({ at }) => at)
          const open = scores.map((score, at) => (policy === 'masked' && state[at] !== mask ? -1e30 : score))
          const sets = policy === 'bernoulli' ? bernoulliSet(scores, new Set(places)) : plackettLuce(open, places)
          close(set?.values[step * 6 + row], step === 2 ? 0 : sets, 2e-5)
        })
      }
    },
  )
})

describe('the Trainer', () => {
  const examples = ['abcd', 'bcde', 'cdef', 'defg', 'efgh', 'fghi'].map((source) => ({
    source,
    target: [...source].reverse().join(''),
  }))

  it('takes a model from base over Remask-SFT to Remask-RL', async () => {
    const learner = await openRemedi(tokenizer, { ...shape, layers: 3, width: 48 }, 2)
    try {
      const losses = async (options: ConstructorParameters<typeof Trainer<TestModel>>[1] | object) => {
        const trainer = new Trainer(learner, JSON.parse(JSON.stringify(options)))
        const all: Record<string, number>[] = []
        for await (const { terms, ...report } of trainer.run(examples)) {
          all.push({ ...JSON.parse(JSON.stringify(report)), ...terms })
        }
        return all
      }
      const many = { batchRows: 24, learningRate: 5e-3 }
      const base = await losses({ task: 'base', steps: 60, ...many })
      expect(base.at(-1)?.token).toBeLessThan(0.5 * (base[0]?.token ?? 0))
      expect(base.at(-1)?.wrongs).toBe(0)
      const sft = await losses({ task: 'sft', steps: 60, confidenceWeight: 1, wrongTokens: 'self', ...many })
      expect(sft.at(-1)?.confidence).toBeLessThan(sft[0]?.confidence ?? 0)
      expect(sft.reduce((sum, report) => sum + (report.wrongs ?? 0), 0)).toBeGreaterThan(0)
      const rl = await losses({
        task: 'rl',
        steps: 25,
        reward: 'editDistance',
        groupSize: 8,
        batchRows: 6,
        stepsPerBlock: 4,
        maxTokens: 8,
        learningRate: 2e-3,
        updates: 2,
      })
      const mean = (part: typeof rl) => part.reduce((sum, report) => sum + (report.reward ?? 0), 0) / part.length
      expect(mean(rl.slice(-6))).toBeGreaterThan(mean(rl.slice(0, 6)))
    } finally {
      await learner.dispose()
    }
  })
})
