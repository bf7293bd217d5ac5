// Reconstruction losses that align a row's positions with Y* by themselves: axe, oaxe, ctc (options of spec section 5).
// Their float64 twins stand in src/merge/alignmentLosses.ts.
//
// Position j of row r is logits[offsets[r] + j] over V tokens, P_j its softmax; targets are the rows of Y*, n tokens
// for m positions. Each loss is the mean over rows of (the row's loss / max(1, n)); a row with neither positions nor
// tokens has no part, and without rows the loss is 0. `blank` is the token of a position that says nothing. Logarithms
// are taken from logits, without a clamp.
#pragma once

#include "ops/tensor.h"
#include "rows.h"

namespace merge {

// Aligned cross-entropy (Ghazvininejad et al. 2020, section 3): the cheapest monotone alignment, over
//   align y_i with position j:  -log P_j(y_i)
//   skip position j:            -log P_j(blank)
//   skip token y_i:             -penalty * log P_j(y_i), j the last position before it (the first where there is none).
// Among equally cheap steps, align goes before skipping a position, and that before skipping a token. The gradient is
// that of the cheapest alignment. Without positions each token costs penalty * log V.
Tensor axe(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank, double penalty);

// Order-agnostic cross-entropy (Du et al. 2021, section 3): the cheapest assignment of tokens to positions, each at
// most once (Hungarian algorithm). A position left over costs -log P_j(blank), a token left over log V, without
// gradient. Decision: the paper has as many positions as tokens.
Tensor oaxe(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank);

// Connectionist temporal classification (Graves et al. 2006): -log of the probability of all paths that collapse to Y*.
// A row with fewer positions than tokens and repeats has no path, and no part in the mean. Targets hold no blank
// (ERR_INPUT).
Tensor ctc(const Tensor& logits_MV, const Offsets& offsets, const Rows& targets, int64_t blank);

}  // namespace merge
