// Ablations: what a study leaves out or changes, one thing at a time (section 8); each variant is options, nothing else.

import { profileDefaults } from '../config.js'

/** Options that differ from a run's configuration; everything else stays as configured. */
export interface AblationChanges {
  readonly model?: Readonly<Record<string, unknown>>
  /** `losses` and `drafts` are taken key by key. */
  readonly recipe?: Readonly<Record<string, unknown>>
  /** How drafts are refined when the model is measured. */
  readonly refine?: Readonly<Record<string, unknown>>
}

/** One row of the table. */
export interface AblationVariant {
  /** Unique in its ablation. */
  readonly name: string
  readonly title: string
  readonly changes: AblationChanges
}

/** A question, and the variants that answer it. */
export interface Ablation {
  /** What `--only` takes. */
  readonly name: string
  readonly title: string
  readonly variants: readonly AblationVariant[]
}

/** The configuration as it is: what every variant is compared with. */
export const configured: AblationVariant = { name: 'configured', title: 'as configured', changes: {} }

const choice = (part: 'model' | 'recipe' | 'refine', key: string) => {
  return (value: unknown, title = String(value)): AblationVariant => {
    return { name: String(value), title, changes: { [part]: { [key]: value } } }
  }
}

// A way to decide how many masks there are holds in training and afterwards.
const countSource = (name: string, source: string, title: string, inserter: string): AblationVariant => ({
  name,
  title,
  changes: { model: { inserter, countSource: source } },
})

// A profile is all of its choices, whatever the configuration says of them.
const profile = (name: keyof typeof profileDefaults): AblationVariant => ({
  name,
  title: name,
  changes: { model: { profile: name, ...profileDefaults[name] } },
})

const unrolled = (rounds: number): AblationVariant => ({
  name: String(rounds),
  title: `L = ${rounds}`,
  changes: { recipe: { rounds }, refine: { maxRounds: rounds } },
})

/** A gate that is not asked is not trained either. */
const fixedGate = (name: string, mode: 'edit' | 'gen', title: string): AblationVariant => ({
  name,
  title,
  changes: { recipe: { losses: { gate: 0 } }, refine: { mode } },
})

const positions = choice('model', 'positions')
const encodings = choice('model', 'encodings')
const condition = choice('model', 'condition')
const deleter = choice('model', 'deleter')
const gateFeatures = choice('model', 'gateFeatures')
const localMix = choice('model', 'localMix')

/** Every ablation: those of section 8 and H30, then the choices of this implementation. */
export const ablations: readonly Ablation[] = [
  {
    name: 'gate',
    title: 'Gate: who decides whether a text needs an edit',
    variants: [
      { name: 'learned', title: 'learned', changes: { refine: { mode: 'auto' } } },
      fixedGate('edit', 'edit', 'always edit'),
      fixedGate('gen', 'gen', 'always generate'),
    ],
  },
  {
    name: 'insert-only',
    title: 'Insert only: no deleter',
    variants: [
      {
        name: 'insert-only',
        title: 'no D1',
        // The oracle deletes in training, so that the inserter sees partial rows; nothing deletes afterwards.
        changes: {
          recipe: { losses: { compression: 0, length: 0, gate: 0 }, ownDeletion: 0, ownFill: 0 },
          refine: { mode: 'gen' },
        },
      },
    ],
  },
  {
    name: 'insertion',
    title: 'Insertion: how many masks, and where',
    variants: [
      countSource('counts', 'counts', 'a count for each gap', 'block'),
      countSource('pointer', 'literal', 'pointer network, one mask in each of k gaps', 'pointer'),
      countSource('top-k', 'literal', 'plain top-k, no network', 'linear'),
      countSource('poisson', 'poisson', 'expected gap lengths (Poisson)', 'block'),
      countSource('length', 'length', 'total length, shared out by score', 'block'),
    ],
  },
  {
    name: 'rounds',
    title: 'Rounds: unrolled in training, and most afterwards',
    variants: [1, 2, 3, 6].map(unrolled),
  },
  {
    name: 'positions',
    title: 'Positions of the encoder',
    variants: [positions('rope', 'rotary'), positions('relative'), positions('absolute')],
  },
  { name: 'profile', title: 'Profile', variants: [profile('aligned'), profile('literal')] },
  {
    name: 'encodings',
    title: 'Encoder passes in a round',
    variants: [encodings('one'), encodings('two'), encodings('three')],
  },
  {
    name: 'condition',
    title: 'What the filler sees of deleted tokens (H30)',
    variants: [
      condition('none', 'nothing'),
      condition('carry', 'their mean, in the masks'),
      condition('draft', 'the draft'),
    ],
  },
  {
    name: 'deleter',
    title: 'Deleter: before its linear layer (H16)',
    variants: [deleter('block', 'a block'), deleter('linear', 'nothing')],
  },
  {
    name: 'gate-features',
    title: 'Gate: what it reads (H14)',
    variants: [gateFeatures('doubt', 'mean, maximum, doubt'), gateFeatures('mean', 'mean')],
  },
  {
    name: 'local-mix',
    title: 'Local convolution before the first block',
    variants: [localMix(7, '7 taps'), localMix(0, 'none')],
  },
]
