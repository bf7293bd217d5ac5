// Block: one block of an answer while it is denoised. Pure data and the rules that change it.

type Sampler = 'fixed' | 'threshold' | 'llada' | 'remdm'

/** A block between two denoising steps. */
export interface BlockState {
  /** The mask id stands where nothing is chosen yet. */
  readonly tokens: Int32Array
  /** 1: given by the caller, never changes. */
  readonly locked: Uint8Array
  /** Steps taken. */
  readonly step: number
  /** Steps that the schedule has; those beyond are extra corrections. */
  readonly steps: number
  /** Tokens that were visible, and not locked, before the first step. */
  readonly drafted: number
  /** How often each position was remasked. */
  readonly remasks: Int32Array
  /** Confidence of each token when it was filled in. */
  readonly filledWith: Float32Array
  /** States that were seen, as text. */
  readonly seen: ReadonlySet<string>
  /** Whether the block came back to an earlier state: what is visible stays from here on. */
  readonly isSettling: boolean
}

/** What one step did to a block. */
export interface BlockChange {
  readonly unmasked: Int32Array
  readonly remasked: Int32Array
  readonly masked: Int32Array
}

/** A block before its first step. */
export function newBlock(
  tokens: Int32Array,
  locked: Uint8Array,
  mask: number,
  { sampler, steps }: { readonly sampler: Sampler; readonly steps: number },
): BlockState {
  const masks = tokens.reduce((count, token) => count + (token === mask ? 1 : 0), 0)
  const lockedCount = locked.reduce((sum, flag) => sum + flag, 0)
  return {
    tokens,
    locked,
    step: 0,
    // Where each step fills its share of the masks, more steps than masks would do nothing.
    steps: sampler === 'fixed' || sampler === 'llada' ? Math.min(steps, masks) : steps,
    drafted: tokens.length - masks - lockedCount,
    remasks: new Int32Array(tokens.length),
    filledWith: new Float32Array(tokens.length).fill(1),
    seen: new Set([tokens.join()]),
    isSettling: false,
  }
}

/** The block after a step, and what the step did. */
export function steppedBlock(
  block: BlockState,
  after: { readonly tokens: Int32Array; readonly probability: Float32Array },
  options: { readonly mask: number; readonly detectCycles: boolean; readonly sampler: Sampler },
): { readonly block: BlockState; readonly change: BlockChange } {
  const { mask } = options
  const places = (test: (before: number, now: number) => boolean): Int32Array =>
    Int32Array.from(
      [...after.tokens.keys()].filter((place) => test(block.tokens[place] ?? mask, after.tokens[place] ?? mask)),
    )
  const change: BlockChange = {
    unmasked: places((before, now) => before === mask && now !== mask),
    remasked: places((before, now) => before !== mask && now === mask),
    masked: places((_, now) => now === mask),
  }
  const remasks = block.remasks.slice()
  for (const place of change.remasked) remasks[place] = (remasks[place] ?? 0) + 1
  const filledWith = block.filledWith.slice()
  for (const place of change.unmasked) filledWith[place] = after.probability[place] ?? 1
  const state = after.tokens.join()
  const isEarly = options.sampler === 'threshold' && change.masked.length === 0 && block.step < block.steps
  return {
    block: {
      ...block,
      // By threshold, the schedule ends with the last mask.
      steps: isEarly ? block.step + 1 : block.steps,
      tokens: after.tokens,
      step: block.step + 1,
      remasks,
      filledWith,
      seen: new Set([...block.seen, state]),
      isSettling: block.isSettling || (options.detectCycles && block.seen.has(state)),
    },
    change,
  }
}

/** Whether a block has nothing to choose, before its first step. */
export function isIdle(block: BlockState, mask: number, extraSteps: number): boolean {
  return block.step === 0 && block.steps + extraSteps === 0 && !block.tokens.includes(mask)
}

/** Whether a block is finished by its last step. */
export function isFinished(block: BlockState, change: BlockChange, extraSteps: number): boolean {
  if (change.masked.length > 0) return false
  // Nothing was remasked in a correction: the next one would find the same.
  if (block.step > block.steps && change.unmasked.length + change.remasked.length === 0) return true
  return block.step >= block.steps + extraSteps || block.isSettling
}
