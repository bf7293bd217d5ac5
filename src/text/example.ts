// Example: what a model learns from.

/** One example: the finished text, the text to edit where the data have one, and what both are read with. */
export interface Example {
  readonly source?: string
  readonly target: string
  /** Stands before the text, is read, and never changes: an instruction, a text in another language. */
  readonly condition?: string
}
