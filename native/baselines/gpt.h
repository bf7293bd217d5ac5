// Gpt: the autoregressive baseline: LLaMA blocks of which every position sees itself and what stands before it.
#pragma once

#include <functional>
#include <vector>

#include "nn/block.h"
#include "nn/placement.h"
#include "record.h"
#include "rows.h"

namespace merge::baselines {

struct GptOptions {
  int64_t vocabulary;  // rows of the embedding: ids below it may be read
  int64_t layers, max_length;
  bool tied_head;
  double rope_base;
  bool blank;  // the weights come from a file: nothing is drawn
  nn::Placement placement;
  nn::BlockOptions block;

  explicit GptOptions(const Record& config);
};

// Packed rows as the model reads them: T positions in all.
struct GptSequence {
  Offsets offsets{0};
  Tensor tokens_T;     // int64
  Tensor positions_T;  // int64
};

// Attention of one layer.
using GptAttend = std::function<Tensor(int64_t layer, const Tensor& qkv)>;

class Gpt {
 public:
  explicit Gpt(const Record& config);

  // Rows on the model's device; row r begins at position begins[r], or 0 without any.
  GptSequence sequence(const Rows& rows, const std::vector<int64_t>& begins = {}) const;
  // Hidden states [T, D], normalised: what the head reads. The first attends within rows and keeps gradients.
  Tensor forward(const GptSequence& sequence) const;
  Tensor forward(const GptSequence& sequence, const GptAttend& attend) const;
  // hidden [M, D] -> logits [M, V], in float32 or wider.
  Tensor logits(const Tensor& hidden_MD) const;

  ops::Heads heads() const { return blocks_.front().heads(); }
  const GptOptions& options() const { return options_; }
  nn::Parameters& parameters() { return parameters_; }

 private:
  GptOptions options_;
  nn::Parameters parameters_;
  Tensor embedding_, norm_, head_;
  std::vector<nn::Block> blocks_;
};

// What ragged_attention adds to the scores so that nobody sees what stands behind: [1, S].
Tensor causal_bias(const Offsets& offsets, at::Device device);

}  // namespace merge::baselines
