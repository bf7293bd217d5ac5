// Gpt: construction from the configuration record, and the forward pass.
#include "baselines/gpt.h"

#include <algorithm>
#include <cmath>

#include "checks.h"
#include "nn/llama_block.h"
#include "nn/packed.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"

namespace merge::baselines {

GptOptions::GptOptions(const Record& config)
    : vocabulary(positive(config, "vocabulary")),
      layers(positive(config, "layers")),
      max_length(positive(config, "maxLength")),
      tied_head(config.flag("tiedHead")),
      rope_base(config.number("ropeBase")),
      blank(one_of(config, "start", {"random", "blank"}) == "blank"),
      placement(config),
      block(nn::llama_block(config)) {
  if (one_of(config, "weightDtype", {"float32", "bfloat16"}) == "bfloat16") placement.weight_dtype = at::kBFloat16;
}

// The names are those of RemeDi's token stream, so that one table reads LLaMA checkpoints for both.
Gpt::Gpt(const Record& config)
    : options_(config),
      parameters_(config.integer("seed"),
                  options_.blank ? nn::Parameters::Start::kBlank : nn::Parameters::Start::kDrawn) {
  const int64_t width = options_.block.width;
  const double deviation = options_.block.deviation;
  embedding_ = parameters_.add("embedding.weight", {options_.vocabulary, width}, {.deviation = deviation});
  for (int64_t b = 0; b < options_.layers; ++b) {
    blocks_.emplace_back(parameters_, "token.blocks." + std::to_string(b), options_.block);
  }
  norm_ = parameters_.add("token.norm.weight", {width}, {.value = 1});
  if (!options_.tied_head) {
    head_ = parameters_.add("head.weight", {options_.vocabulary, width}, {.deviation = deviation});
  }
  parameters_.flatten(options_.placement.weights(), options_.placement.device);
}

GptSequence Gpt::sequence(const Rows& rows, const std::vector<int64_t>& begins) const {
  std::vector<int64_t> positions;
  positions.reserve(rows.tokens.size());
  for (int64_t r = 0; r < rows.count(); ++r) {
    const int64_t begin = begins.empty() ? 0 : begins[static_cast<size_t>(r)];
    for (int64_t i = 0; i < rows.length(r); ++i) positions.push_back(begin + i);
  }
  const at::Device device = options_.placement.device;
  return {.offsets = Offsets(rows.offsets.begin(), rows.offsets.end()),
          .tokens_T = nn::index_tensor({rows.tokens.begin(), rows.tokens.end()}, device),
          .positions_T = nn::index_tensor(positions, device)};
}

Tensor Gpt::forward(const GptSequence& sequence) const {
  const Tensor bias = causal_bias(sequence.offsets, options_.placement.device);
  return forward(sequence, [&](int64_t, const Tensor& qkv) {
    return ops::ragged_attention(qkv, sequence.offsets, heads(), bias);
  });
}

Tensor Gpt::forward(const GptSequence& sequence, const GptAttend& attend) const {
  const auto dtype = options_.placement.dtype;
  // Half-width activations still turn by float32 angles.
  const Tensor angles_TK = ops::rope_angles(sequence.positions_T, options_.block.width / options_.block.heads,
                                            options_.rope_base, dtype == at::kDouble ? at::kDouble : at::kFloat);
  Tensor x_TD = at::embedding(embedding_, sequence.tokens_T).to(dtype);
  for (int64_t b = 0; b < options_.layers; ++b) {
    x_TD = blocks_[b].forward(x_TD, angles_TK, [&](const Tensor& qkv) { return attend(b, qkv); });
  }
  return ops::rms_norm(x_TD, norm_, options_.block.norm_epsilon);
}

Tensor Gpt::logits(const Tensor& hidden_MD) const {
  return nn::widen(nn::project(hidden_MD, options_.tied_head ? embedding_ : head_));
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
