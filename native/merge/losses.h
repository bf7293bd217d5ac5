// The five losses of the aligned profile (spec section 5), unweighted; their float64 twins stand in
// src/merge/losses.ts. Every mean over an empty set is 0.
#pragma once

#include "ops/tensor.h"
#include "rows.h"

namespace merge {

struct Terms {
  Tensor recon, compression, pointer, gate, length;
};

// Mean of the cross-entropies of the fills.
Tensor recon_loss(const Tensor& loss_M);

// BCE(p_keep, keep) over tokens + weight * mean over rows of KL(Ber(mean p_keep) || Ber(1 - reduction * g)).
// rows_N is each token's row; gate_B carries no gradient here.
Tensor compression_loss(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& rows_N, const Tensor& gate_B,
                        double reduction, double kl_weight);

// Cross-entropy of the counts over gaps.
Tensor count_loss(const Tensor& count_GC, const Tensor& counts_G, double smoothing);

// Poisson deviance, mean of y - x + x log(x / y) with y = exp(log_rate), the seed's gap-length reading (H2).
Tensor poisson_loss(const Tensor& log_rate, const Tensor& counts);

// Cross-entropy of softmax(score) over a row's gaps against the shares of its counts, mean over rows that insert.
Tensor allotment_loss(const Tensor& score_G, const Tensor& counts_G, const Tensor& rows_G, int64_t rows);

// Mean over rows of the entropy of softmax(score) over the row's gaps.
Tensor score_entropy(const Tensor& score_G, const Tensor& rows_G, int64_t rows);

// BCE(g, needs an edit) + cost * g, mean over rows.
Tensor gate_loss(const Tensor& gate_logits_B, const Tensor& needs_B, double cost);

// Mean over rows with tokens of (mean p_keep - mean keep)^2.
Tensor length_loss(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& rows_N, int64_t rows);

// What the readings share. Probabilities inside KL stay within [kProbabilityFloor, 1 - kProbabilityFloor].
constexpr double kProbabilityFloor = 1e-4;
Tensor bernoulli_kl(const Tensor& p, const Tensor& q);
// Mean of values_N over each row, [B]; rows without any hold 0.
Tensor row_mean(const Tensor& values_N, const Tensor& rows_N, int64_t rows);
// 1 for each row that has a value, else 0, [B].
Tensor has_values(const Tensor& rows_N, int64_t rows, const Tensor& like);
// log softmax of the scores over each row's gaps.
Tensor row_log_softmax(const Tensor& score_G, const Tensor& rows_G, int64_t rows);
// Logits [M, V] of positions whose rows are `offsets`, beside as many rows of targets (ERR_SHAPE) of tokens below V
// (ERR_INPUT). `name` is the loss.
void check_positions(const char* name, const Tensor& logits_MV, const Offsets& offsets, const Rows& targets);

}  // namespace merge
