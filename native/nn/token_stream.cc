// TokenStream: construction from the configuration record, and the forward pass.
#include "nn/token_stream.h"

#include "checks.h"
#include "nn/llama_block.h"
#include "nn/packed.h"
#include "ops/rms_norm.h"

namespace merge::nn {

TokenStreamOptions::TokenStreamOptions(const Record& config)
    : vocabulary(positive(config, "vocabulary")),
      layers(positive(config, "layers")),
      max_length(positive(config, "maxLength")),
      tied_head(config.flag("tiedHead")),
      rope_base(config.number("ropeBase")),
      blank(one_of(config, "start", {"random", "blank"}) == "blank"),
      placement(config),
      block(llama_block(config)) {
  if (one_of(config, "weightDtype", {"float32", "bfloat16"}) == "bfloat16") placement.weight_dtype = at::kBFloat16;
}

TokenStream::TokenStream(Parameters& parameters, const TokenStreamOptions& options)
    : options_(options), rotary_(options.block.width / options.block.heads, options.rope_base) {
  const std::vector<int64_t> shape{options.vocabulary, options.block.width};
  embedding_ = parameters.add("embedding.weight", shape, {.deviation = options.block.deviation});
  for (int64_t b = 0; b < options.layers; ++b) {
    blocks_.emplace_back(parameters, "token.blocks." + std::to_string(b), options.block);
  }
  norm_ = parameters.add("token.norm.weight", {options.block.width}, {.value = 1});
  head_ = Head(parameters, options.tied_head ? HeadKind::kTied : HeadKind::kUntied, embedding_, options.block.deviation,
               options.block.norm_options(), options.logit_scale);
}

Sequence TokenStream::sequence(const Rows& rows, const std::vector<int64_t>& begins) const {
  std::vector<int32_t> positions;
  positions.reserve(rows.tokens.size());
  for (int64_t r = 0; r < rows.count(); ++r) {
    const int64_t begin = begins.empty() ? 0 : begins[static_cast<size_t>(r)];
    for (int64_t i = 0; i < rows.length(r); ++i) positions.push_back(static_cast<int32_t>(begin + i));
  }
  return sequence(rows, positions);
}

Sequence TokenStream::sequence(const Rows& rows, const std::vector<int32_t>& positions) const {
  const at::Device device = options_.placement.device;
  return {.offsets = Offsets(rows.offsets.begin(), rows.offsets.end()),
          .tokens_T = index_tensor({rows.tokens.begin(), rows.tokens.end()}, device),
          .positions_T = index_tensor({positions.begin(), positions.end()}, device),
          .added_TD = {}};
}

Tensor TokenStream::forward(const Sequence& sequence, const LayerAttend& attend, const Behind& behind) const {
  const auto dtype = options_.placement.dtype;
  const Tensor angles_TK = rotary_.angles(sequence.positions_T, dtype);
  Tensor x_TD = at::embedding(embedding_, sequence.tokens_T).to(dtype);
  if (sequence.added_TD.defined()) x_TD = x_TD + sequence.added_TD.to(dtype);
  for (int64_t b = 0; b < options_.layers; ++b) {
    x_TD = blocks_[static_cast<size_t>(b)].forward(x_TD, angles_TK, [&](const Tensor& qkv) { return attend(b, qkv); });
    if (behind) x_TD = behind(b, x_TD, angles_TK);
  }
  return ops::rms_norm(x_TD, norm_, options_.block.norm_epsilon);
}

}  // namespace merge::nn
