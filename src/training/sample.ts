// Sample: a held-out text on its way through the model, kept with an evaluation so that a reader sees what a number means.

/** A stretch of a line. */
export interface SampleSpan {
  /** label, note, kept, deleted, mask or filled. */
  readonly kind: string
  readonly text: string
}

/** A text before and after the model. */
export interface Sample {
  readonly draft: string
  readonly result: string
  /** What it should have become. */
  readonly target?: string | undefined
  /** How it came about: the draft, and for each round what it deleted, masked and filled in. */
  readonly lines?: readonly (readonly SampleSpan[])[] | undefined
}
