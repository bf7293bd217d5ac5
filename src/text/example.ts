// Example: what a model learns from.

/** One example: the finished text, and the text to edit where the data have one. */
export interface Example {
  readonly source?: string
  readonly target: string
}
