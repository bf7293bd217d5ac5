// Block: one LLaMA block, bidirectional within a row: x + attention(norm(x)), then + swiglu feed-forward(norm(x)).
#pragma once

#include <string>

#include "nn/parameters.h"

namespace merge::nn {

struct BlockOptions {
  int64_t width;
  int64_t heads;
  int64_t feed_forward;
  double norm_epsilon;
  double deviation;         // initial standard deviation of the matrices
  double output_deviation;  // and of the two projections that write to the residual
};

class Block {
 public:
  Block(Parameters& parameters, const std::string& name, const BlockOptions& options);

  // x [T, D], angles [T, K] of ops::rope_angles -> [T, D].
  Tensor forward(const Tensor& x_TD, const Tensor& angles_TK, const Offsets& offsets) const;

 private:
  BlockOptions options_;
  Tensor attention_norm_, qkv_, attention_output_, feed_forward_norm_, gate_up_, down_;
};

}  // namespace merge::nn
