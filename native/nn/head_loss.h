// head_loss: what a head says about wanted words, without holding the logits of all positions at a time.
#pragma once

#include <functional>

#include "ops/tensor.h"

namespace merge::nn {

// The matrix of a head, [V, D], its bias [V] or none, and what its logits are multiplied by.
struct HeadWeights {
  Tensor matrix_VD, bias_V;
  double scale = 1;

  // states [M, D] -> logits [M, V], in float32 or wider.
  Tensor logits(const Tensor& states_MD) const;
};

// Positions whose logits exist at a time: 64 MiB of float32.
int64_t positions_at_a_time(int64_t vocabulary);

// Logits [m, V] of the positions `begin` .. `begin` + m, without a gradient.
using Look = std::function<void(int64_t begin, const Tensor& logits_mV)>;

struct HeadLoss {
  Tensor loss_M;  // cross-entropy of each position, with a gradient
  Tensor best_M;  // the likeliest word, int64; ties go to the lower id
};

struct HeadLossOptions {
  double smoothing = 0;     // of the labels, 0..1
  double temperature = 1;   // logits are divided by it
  Tensor forbidden_F = {};  // words that have no probability, int64; not together with smoothing
  Look look = {};           // sees all logits once, in order
  int64_t positions = 0;    // at a time; 0: positions_at_a_time
};

// Where all positions fit at a time, their logits are kept for the backward pass; else it multiplies again.
HeadLoss head_loss(const HeadWeights& weights, const Tensor& states_MD, const Tensor& targets_M,
                   const HeadLossOptions& options = {});
// The same of logits that exist anyway.
HeadLoss logits_loss(const Tensor& logits_MV, const Tensor& targets_M, double smoothing);

// Shows the logits to `look`, without a gradient.
void look_at_logits(const HeadWeights& weights, const Tensor& states_MD, const Look& look);
// The likeliest word of each position, int64.
Tensor best_words(const HeadWeights& weights, const Tensor& states_MD);

}  // namespace merge::nn
