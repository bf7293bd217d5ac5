// Block: one LLaMA block, bidirectional within a row: x + attention(norm(x)), then + swiglu feed-forward(norm(x)).
#pragma once

#include <functional>
#include <string>

#include "nn/parameters.h"
#include "nn/view.h"
#include "ops/ragged_attention.h"

namespace merge::nn {

struct BlockOptions {
  int64_t width;
  int64_t heads;
  int64_t key_heads;  // heads of keys and values; divides heads
  int64_t feed_forward;
  double norm_epsilon;
  double deviation;         // initial standard deviation of the matrices
  double output_deviation;  // and of the two projections that write to the residual
};

// What looks at what: queries, keys and values [T, (H + 2G) K], turned by their positions -> [T, H K].
using Attend = std::function<Tensor(const Tensor& qkv)>;

class Block {
 public:
  Block(Parameters& parameters, const std::string& name, const BlockOptions& options);

  // x [T, D], angles [T, K] of ops::rope_angles or undefined -> [T, D].
  Tensor forward(const Tensor& x_TD, const Tensor& angles_TK, const Attend& attend) const;
  // Every position attends to all of its row, as far as the view's bias lets it.
  Tensor forward(const Tensor& x_TD, const View& view) const;

  ops::Heads heads() const { return {options_.heads, options_.key_heads}; }

 private:
  BlockOptions options_;
  Tensor attention_norm_, qkv_, attention_output_, feed_forward_norm_, gate_up_, down_;
};

}  // namespace merge::nn
