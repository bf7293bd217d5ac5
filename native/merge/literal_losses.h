// The five losses of the literal profile (spec section 5, right column): every formula as the seed wrote it,
// unweighted. Their float64 twins stand in src/merge/literalLosses.ts. Every mean over an empty set is 0; a row without
// members has no part in a mean over rows.
#pragma once

#include "ops/tensor.h"
#include "rows.h"

namespace merge {

// Cross-entropy of the last round's logits against Y* position by position, cut or padded to |Y*|: mean over rows of
// the mean over the |Y*| positions. Position t of row r is logits[offsets[r] + t], sentinels left out. Positions beyond
// |Y*| are cut off; a position that the row lacks knows nothing and costs log V, without gradient.
Tensor literal_recon(const Tensor& logits_TV, const Offsets& offsets, const Rows& targets);

// Mean over tokens of KL(Ber(p_keep) || Ber(1 - reduction * g)); rows_N is each token's row. g keeps its gradient where
// the caller's gate has one.
Tensor literal_compression(const Tensor& keep_logits_N, const Tensor& rows_N, const Tensor& gate_B, double reduction);

// Mean over rows of KL(softmax(score) || uniform over the row's gaps).
Tensor literal_pointer(const Tensor& score_G, const Tensor& rows_G, int64_t rows);

// cost * mean over rows of g.
Tensor literal_gate(const Tensor& gate_logits_B, double cost);

// Mean over rows of the mean of p_keep over the row's tokens.
Tensor literal_length(const Tensor& keep_logits_N, const Tensor& rows_N, int64_t rows);

}  // namespace merge
