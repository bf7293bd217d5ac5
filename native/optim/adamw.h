// AdamW (Loshchilov and Hutter 2019), fused, over a model's flat parameter groups.
#pragma once

#include "nn/parameters.h"

namespace merge {

struct AdamWOptions {
  double learning_rate, second_learning_rate, beta1, beta2, epsilon, weight_decay;
};

class AdamW {
 public:
  // Parameters that require no gradient do not move, and neither do their moments and their count of steps: one that
  // was frozen begins like a new one. Moments start at zero; they are made with the first step, so that a model used
  // for inference alone holds none.
  void step(nn::Parameters& parameters, const AdamWOptions& options);

  // The state as named tensors, for checkpoints: moments by group, and the steps of each of its parameters. Empty
  // before the first step.
  std::vector<nn::Parameters::Entry> entries(const nn::Parameters& parameters);
  int64_t bytes() const;

 private:
  void allocate(const nn::Parameters& parameters);
  std::vector<Tensor> first_, second_, steps_;
};

}  // namespace merge
