// Gate: the probability that a row needs the edit path (spec section 1, H14).
#pragma once

#include "nn/encoder.h"

namespace merge {

class Gate {
 public:
  // features: "doubt" ([mean; max] of the states and the log-sum of deletion odds) or "mean" (the mean alone, as the
  // seed).
  Gate(nn::Parameters& parameters, const std::string& features, const nn::BlockOptions& options);

  // hidden [T, D], keep logits [T] of the same rows -> gate logits [B].
  Tensor forward(const Tensor& hidden_TD, const Tensor& keep_logits_T, const Offsets& offsets) const;

 private:
  bool doubt_;
  double epsilon_;
  Tensor norm_weight_, norm_bias_, weight_, bias_, doubt_weight_;
};

}  // namespace merge
