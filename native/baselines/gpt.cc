// Gpt: the stream of tokens, each seeing the earlier ones.
#include "baselines/gpt.h"

#include <algorithm>
#include <cmath>

#include "ops/ragged_attention.h"

namespace merge::baselines {

// The names are those of RemeDi's token stream, so that one table reads LLaMA checkpoints for both.
Gpt::Gpt(const Record& config)
    : options_(config), parameters_(config.integer("seed"), options_.start()), stream_(parameters_, options_) {
  parameters_.flatten(options_.placement.weights(), options_.placement.device);
}

Tensor Gpt::forward(const nn::Sequence& sequence) const {
  const Tensor bias = causal_bias(sequence.offsets, options_.placement.device);
  return forward(sequence, [&](int64_t, const Tensor& qkv) {
    return ops::ragged_attention(qkv, sequence.offsets, heads(), bias);
  });
}

Tensor causal_bias(const Offsets& offsets, at::Device device) {
  const auto begins = ops::square_offsets(offsets);
  Tensor bias = at::zeros({1, begins.back()}, at::kFloat);
  float* values = bias.mutable_data_ptr<float>();
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t n = offsets[r + 1] - offsets[r];
    for (int64_t q = 0; q < n; ++q) {
      float* row = values + begins[r] + q * n;
      std::fill(row + q + 1, row + n, -INFINITY);
    }
  }
  return bias.to(device);
}

}  // namespace merge::baselines
