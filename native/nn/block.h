// Block: attention and feed-forward, each added to what came in, bidirectional within a row. As it stands without
// options a LLaMA block: x + attention(norm(x)), then + swiglu feed-forward(norm(x)).
#pragma once

#include <functional>
#include <string>

#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/parameters.h"
#include "nn/view.h"
#include "ops/ragged_attention.h"

namespace merge::nn {

enum class NormPlace { kBefore, kAfter };          // of each half's input (LLaMA), or of its sum (BERT)
enum class Biases { kNone, kQueries, kAll };       // kQueries: of queries, keys and values alone (Qwen2)
enum class Activation { kSwiglu, kGeglu, kGelu };  // the first two gate one half of the inner states by the other

struct BlockOptions {
  int64_t width;
  int64_t heads;
  int64_t key_heads;  // heads of keys and values; divides heads
  int64_t feed_forward;
  double norm_epsilon;
  double deviation;         // initial standard deviation of the matrices
  double output_deviation;  // and of the two projections that write to the residual
  NormKind norm = NormKind::kRms;
  NormPlace norm_place = NormPlace::kBefore;
  Biases biases = Biases::kNone;
  Activation activation = Activation::kSwiglu;
  LoraOptions lora = {};       // low-rank updates of its projections
  bool attention_norm = true;  // false: the input is normalised already (first block of ModernBERT)

  NormOptions norm_options() const { return {norm, width, norm_epsilon, biases == Biases::kAll}; }
};

// What looks at what: queries, keys and values [T, (H + 2G) K] -> [T, H K].
using Attend = std::function<Tensor(const Tensor& qkv)>;

class Block {
 public:
  Block(Parameters& parameters, const std::string& name, const BlockOptions& options);

  // x [T, D], angles [T, K] of ops::rope_angles or undefined, by which queries and keys turn first -> [T, D].
  Tensor forward(const Tensor& x_TD, const Tensor& angles_TK, const Attend& attend) const;
  // Every position attends to all of its row, as far as the view's bias lets it.
  Tensor forward(const Tensor& x_TD, const View& view) const;

  ops::Heads heads() const { return {options_.heads, options_.key_heads}; }
  // One of its parameters: whether that learns is whether the block does.
  const Tensor& parameter() const;

 private:
  Tensor both_halves(const Tensor& x_TD, const Attend& attend) const;

  BlockOptions options_;
  Norm attention_norm_, feed_forward_norm_;
  Linear qkv_, attention_output_, up_, down_;
};

}  // namespace merge::nn
