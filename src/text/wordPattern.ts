// wordPattern: GPT-2's words, inside which byte-level BPE merges.

/**
 * Contractions, and letters, digits or other signs with at most one space before them.
 * White space is Unicode's, as in Python's `tokenizers`; JavaScript's \s has U+FEFF in and U+0085 out.
 */
export const wordPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu
