// bernoulli_st: a coin for each logit, with a gradient (Gumbel-sigmoid; Maddison et al. 2017, Jang et al. 2017).
#pragma once

#include "ops/straight_through.h"

namespace merge::ops {

// logits [N], noise [N] float64 (logistic). sample = 1 where logit + noise > 0, else 0: 1 with probability
// sigmoid(logit), whatever the temperature. relaxed = sigmoid((logit + noise) / temperature), and the gradient is its.
// Results are float32, or float64 for float64 logits.
StraightThrough bernoulli_st(const Tensor& logits_N, const Tensor& noise_N, double temperature);
StraightThrough bernoulli_st_reference(const Tensor& logits_N, const Tensor& noise_N, double temperature);

// The same with noise of its own for packed rows.
StraightThrough bernoulli_st(const Tensor& logits_N, const Offsets& offsets, double temperature, const Random& random);

}  // namespace merge::ops
