// Gpt: the autoregressive baseline: LLaMA blocks of which every position sees itself and what stands before it.
#pragma once

#include <vector>

#include "nn/token_stream.h"

namespace merge::baselines {

class Gpt {
 public:
  explicit Gpt(const Record& config);

  // Rows on the model's device; row r begins at position begins[r], or 0 without any.
  nn::Sequence sequence(const Rows& rows, const std::vector<int64_t>& begins = {}) const {
    return stream_.sequence(rows, begins);
  }
  // Hidden states [T, D], normalised: what the head reads. The first attends within rows and keeps gradients.
  Tensor forward(const nn::Sequence& sequence) const;
  Tensor forward(const nn::Sequence& sequence, const nn::LayerAttend& attend) const {
    return stream_.forward(sequence, attend);
  }
  const nn::Head& head() const { return stream_.head(); }

  ops::Heads heads() const { return stream_.heads(); }
  const nn::TokenStreamOptions& options() const { return options_; }
  nn::Parameters& parameters() { return parameters_; }
  const nn::Parameters& parameters() const { return parameters_; }

 private:
  nn::TokenStreamOptions options_;
  nn::Parameters parameters_;
  nn::TokenStream stream_;
};

// What ragged_attention adds to the scores so that nobody sees what stands behind: [1, S].
Tensor causal_bias(const Offsets& offsets, at::Device device);

}  // namespace merge::baselines
