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

// Rows for the deletion to learn on: drafts X, or the masked rows filled with tokens that pi_tok draws.
Rows deletion_states(const Levt& model, const Rows& x, const Masked& masked, const Tensor& logits_MV, double own_fill,
                     const Draws& draws);

// The expert's labels: 1 for each token of X that stays on the shortest way to Y by deletions and insertions.
std::vector<uint8_t> kept_tokens(const Rows& x, const Rows& y);

}  // namespace merge::baselines
