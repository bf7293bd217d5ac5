// Model: construction from the configuration record, and the forward pass of both streams.
#include "remedi/model.h"

#include <cmath>
#include <sstream>

#include "checks.h"
#include "nn/packed.h"
#include "nn/product.h"
#include "ops/rms_norm.h"

namespace merge::remedi {
namespace {

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
    : TokenStreamOptions(config),
      mask(special_id(config, "mask")),
      policy_blocks(positive(config, "policyBlocks")),
      policy_positions(remedi::policy_positions(config)),
      policy_whole(one_of(config, "loraPolicy", {"lora", "whole"}) == "whole") {
  block.lora = nn::lora_options(config);
  if (config.flag("scaledLogits")) logit_scale = 1 / std::sqrt(static_cast<double>(block.width));
  expect_config(static_cast<int64_t>(policy_positions.size()) <= policy_blocks,
                "policyBlocks: expected at least as many as policyPositions, " +
                    std::to_string(policy_positions.size()) + ", received " + std::to_string(policy_blocks));
}

Model::Model(const Record& config)
    : options_(config), parameters_(config.integer("seed"), options_.start()), stream_(parameters_, options_) {
  const int64_t width = options_.block.width;
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

Streams Model::forward(const Sequence& sequence, const Tensor& bias) const {
  return forward(sequence, [&](int64_t, const Tensor& qkv) {
    return ops::ragged_attention(qkv, sequence.offsets, heads(), bias);
  });
}

Streams Model::forward(const Sequence& sequence, const LayerAttend& attend) const {
  const double epsilon = options_.block.norm_epsilon;
  Tensor u_TD;
  size_t stop = 0;
  const auto behind = [&](int64_t b, const Tensor& x_TD, const Tensor& angles_TK) {
    if (stop == options_.policy_positions.size() || options_.policy_positions[stop] != b) return x_TD;
    // 1) the policy block reads both streams
    const Policy& policy = policy_[stop];
    const int64_t layer = options_.layers + static_cast<int64_t>(stop);
    u_TD = policy.block.forward(u_TD.defined() ? x_TD + u_TD : x_TD, angles_TK,
                                [&](const Tensor& qkv) { return attend(layer, qkv); });
    ++stop;
    // 2) and writes back
    const Tensor normed_TD = ops::rms_norm(u_TD, policy.norm, epsilon);
    return nn::add_projected(x_TD, normed_TD, policy.weight, policy.bias);
  };
  const Tensor hidden_TD = stream_.forward(sequence, attend, behind);
  const Tensor last_TD = ops::rms_norm(u_TD, policy_norm_, epsilon);
  const Tensor confidence_T = (nn::widen(nn::project(last_TD, confidence_)) + confidence_bias_).squeeze(1);
  return {.hidden_TD = hidden_TD, .confidence_T = confidence_T};
}

}  // namespace merge::remedi
