// Roll-in of the dual policy (section 3.2 of the paper): which states the two policies learn from.
#pragma once

#include "baselines/levt.h"
#include "merge/rollin.h"

namespace merge::baselines {

// Shares of rows, 0..1.
struct LevtShares {
  double subsequence;   // insertion learns on the target with random tokens dropped (the paper's 1 - beta)
  double own_deletion;  // of the other rows: on the draft after the model's own deletions, not the expert's (paper: 0)
  double own_fill;      // deletion learns on what the model's own tokens make of the insertion's state (1 - alpha)
};

// Rows for the insertion to learn on, from drafts X with targets Y.
Rows insertion_states(const Levt& model, const Rows& x, const Rows& y, const LevtShares& shares, const Draws& draws,
                      Reading& reading);

// A token for each mask from `begin` on, drawn from the logits [m, V] of pi_tok.
Tensor drawn_tokens(const LevtOptions& options, int64_t begin, const Tensor& logits_mV, const Draws& draws);

// Rows for the deletion to learn on: drafts X, or for a share of them the masked rows filled with drawn tokens, which
// are needed where there is such a share and a mask.
Rows deletion_states(const Rows& x, const Masked& masked, const Tensor& drawn_M, double own_fill, const Draws& draws);

// The expert's labels: 1 for each token of X that stays on the shortest way to Y by deletions and insertions.
std::vector<uint8_t> kept_tokens(const Rows& x, const Rows& y);

}  // namespace merge::baselines
