// Model: construction from the configuration record, and the forward pass of both streams.
#include "remedi/model.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "checks.h"
#include "nn/llama_block.h"
#include "nn/packed.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"

namespace merge::remedi {
namespace {

// Blocks of both streams, and what of them learns.
nn::BlockOptions block_options(const Record& config) {
  nn::BlockOptions options = nn::llama_block(config);
  options.lora = nn::lora_options(config);
  return options;
}

// "0,10,20,30": rising and below the number of token blocks.
std::vector<int64_t> policy_positions(const Record& config) {
  const std::string& text = config.word("policyPositions");
  const int64_t layers = positive(config, "layers");
  std::vector<int64_t> positions;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    const bool is_number = !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos;
    const int64_t position = is_number ? std::stoll(part) : -1;
    expect_config(is_number && position < layers && (positions.empty() || positions.back() < position),
                  "policyPositions: expected rising numbers 0.." + std::to_string(layers - 1) + ", received " + text);
    positions.push_back(position);
  }
  expect_config(!positions.empty(), "policyPositions: expected at least one, received none");
  return positions;
}

}  // namespace

ModelOptions::ModelOptions(const Record& config)
    : vocabulary(positive(config, "vocabulary")),
      layers(positive(config, "layers")),
      max_length(positive(config, "maxLength")),
      mask(special_id(config, "mask")),
      tied_head(config.flag("tiedHead")),
      scaled_logits(config.flag("scaledLogits")),
      rope_base(config.number("ropeBase")),
      policy_blocks(positive(config, "policyBlocks")),
      policy_positions(remedi::policy_positions(config)),
      blank(one_of(config, "start", {"random", "blank"}) == "blank"),
      placement(config),
      block(block_options(config)),
      policy_whole(one_of(config, "loraPolicy", {"lora", "whole"}) == "whole") {
  if (one_of(config, "weightDtype", {"float32", "bfloat16"}) == "bfloat16") placement.weight_dtype = at::kBFloat16;
  expect_config(static_cast<int64_t>(policy_positions.size()) <= policy_blocks,
                "policyBlocks: expected at least as many as policyPositions, " +
                    std::to_string(policy_positions.size()) + ", received " + std::to_string(policy_blocks));
}

Model::Model(const Record& config)
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
  if (!options_.tied_head)
    head_ = parameters_.add("head.weight", {options_.vocabulary, width}, {.deviation = deviation});
  nn::BlockOptions policy_block = options_.block;
  if (options_.policy_whole) policy_block.lora = {};
  for (int64_t i = 0; i < options_.policy_blocks; ++i) {
    const std::string name = "policy.blocks." + std::to_string(i), back = "policy.back." + std::to_string(i);
    policy_.push_back({.block = nn::Block(parameters_, name, policy_block),
                       .norm = parameters_.add(back + ".norm.weight", {width}, {.value = 1}),
                       // Zero, so that at step 0 the token stream is that of the base model.
                       .weight = parameters_.add(back + ".linear.weight", {width, width}, {.value = 0}),
                       .bias = parameters_.add(back + ".linear.bias", {width}, {.value = 0})});
  }
  policy_norm_ = parameters_.add("policy.norm.weight", {width}, {.value = 1});
  // The official truncation lies at 100 standard deviations, where these draws never come.
  confidence_ = parameters_.add("policy.confidence.weight", {1, width}, {.deviation = .02});
  confidence_bias_ = parameters_.add("policy.confidence.bias", {1}, {.value = 0});
  if (options_.block.lora.rank > 0) {
    parameters_.freeze(
        [&](const std::string& name) { return !nn::is_lora(name) && !(options_.policy_whole && is_policy(name)); });
  }
  parameters_.flatten(options_.placement.weights(), options_.placement.device, "policy.");
}

Sequence Model::sequence(const Rows& rows) const {
  std::vector<int32_t> positions;
  for (int64_t r = 0; r < rows.count(); ++r) {
    for (int64_t i = 0; i < rows.length(r); ++i) positions.push_back(static_cast<int32_t>(i));
  }
  return sequence(rows, positions);
}

Sequence Model::sequence(const Rows& rows, const std::vector<int32_t>& positions) const {
  const at::Device device = options_.placement.device;
  return {.offsets = Offsets(rows.offsets.begin(), rows.offsets.end()),
          .tokens_T = nn::index_tensor({rows.tokens.begin(), rows.tokens.end()}, device),
          .positions_T = nn::index_tensor({positions.begin(), positions.end()}, device)};
}

Streams Model::forward(const Sequence& sequence, const Tensor& bias) const {
  return forward(sequence, [&](int64_t, const Tensor& qkv) {
    return ops::ragged_attention(qkv, sequence.offsets, heads(), bias);
  });
}

Streams Model::forward(const Sequence& sequence, const LayerAttend& attend) const {
  const auto dtype = options_.placement.dtype;
  const double epsilon = options_.block.norm_epsilon;
  // Half-width activations still turn by float32 angles.
  const Tensor angles_TK = ops::rope_angles(sequence.positions_T, options_.block.width / options_.block.heads,
                                            options_.rope_base, dtype == at::kDouble ? at::kDouble : at::kFloat);
  const auto run = [&](const nn::Block& block, const Tensor& x_TD, int64_t layer) {
    return block.forward(x_TD, angles_TK, [&](const Tensor& qkv) { return attend(layer, qkv); });
  };
  Tensor x_TD = at::embedding(embedding_, sequence.tokens_T).to(dtype);
  Tensor u_TD;
  size_t stop = 0;
  for (int64_t b = 0; b < options_.layers; ++b) {
    // 1) the token block
    x_TD = run(blocks_[b], x_TD, b);
    if (stop == options_.policy_positions.size() || options_.policy_positions[stop] != b) continue;
    // 2) the policy block reads both streams
    const Policy& policy = policy_[stop];
    u_TD = run(policy.block, u_TD.defined() ? x_TD + u_TD : x_TD, options_.layers + static_cast<int64_t>(stop));
    // 3) and writes back
    const Tensor normed_TD = ops::rms_norm(u_TD, policy.norm, epsilon);
    x_TD = nn::add_projected(x_TD, normed_TD, policy.weight) + policy.bias.to(dtype);
    ++stop;
  }
  const Tensor last_TD = ops::rms_norm(u_TD, policy_norm_, epsilon);
  const Tensor confidence_T = (nn::widen(nn::project(last_TD, confidence_)) + confidence_bias_).squeeze(1);
  return {.hidden_TD = ops::rms_norm(x_TD, norm_, epsilon), .confidence_T = confidence_T};
}

Tensor Model::logits(const Tensor& hidden_MD) const {
  const Tensor logits_MV = nn::widen(nn::project(hidden_MD, options_.tied_head ? embedding_ : head_));
  return options_.scaled_logits ? logits_MV / std::sqrt(static_cast<double>(options_.block.width)) : logits_MV;
}

}  // namespace merge::remedi
