// encoder_options: each field checked, each word turned into its choice.
#include "nn/encoder_config.h"

#include "checks.h"
#include "nn/llama_block.h"

namespace merge::nn {
namespace {

Positions positions_of(const std::string& word) {
  if (word == "relative") return Positions::kRelative;
  return word == "absolute" ? Positions::kAbsolute : Positions::kRope;
}

Biases biases_of(const std::string& word) {
  if (word == "queries") return Biases::kQueries;
  return word == "all" ? Biases::kAll : Biases::kNone;
}

Activation activation_of(const std::string& word) {
  if (word == "geglu") return Activation::kGeglu;
  return word == "gelu" ? Activation::kGelu : Activation::kSwiglu;
}

HeadKind head_of(const std::string& word) {
  if (word == "untied") return HeadKind::kUntied;
  return word == "transform" ? HeadKind::kTransform : HeadKind::kTied;
}

// A LLaMA block, and what published encoders do otherwise.
BlockOptions block_options(const Record& config) {
  BlockOptions options = llama_block(config);
  options.norm = one_of(config, "norm", {"rms", "layer"}) == "layer" ? NormKind::kLayer : NormKind::kRms;
  const bool is_after = one_of(config, "normPlace", {"before", "after"}) == "after";
  options.norm_place = is_after ? NormPlace::kAfter : NormPlace::kBefore;
  options.biases = biases_of(one_of(config, "biases", {"none", "queries", "all"}));
  options.activation = activation_of(one_of(config, "activation", {"swiglu", "geglu", "gelu"}));
  return options;
}

}  // namespace

EncoderOptions encoder_options(const Record& config, int64_t max_positions) {
  const int64_t layers = positive(config, "layers"), local_mix = config.integer("localMix");
  expect_config(local_mix == 0 || (local_mix % 2 == 1 && local_mix > 0 && local_mix <= 63),
                "localMix: expected 0 or an odd number up to 63, received " + std::to_string(local_mix));
  const int64_t window = config.integer("attentionWindow");
  expect_config(window >= 0, "attentionWindow: expected a whole number >= 0, received " + std::to_string(window));
  return {.vocabulary = positive(config, "vocabulary"),
          .layers = layers,
          .local_mix = local_mix,
          .rope_base = config.number("ropeBase"),
          .block = block_options(config),
          .positions = positions_of(one_of(config, "positions", {"rope", "relative", "absolute"})),
          .max_positions = max_positions,
          .embedding_norm = config.flag("embeddingNorm"),
          .head = head_of(one_of(config, "head", {"tied", "untied", "transform"})),
          .window = window,
          .global_every = positive(config, "globalEvery"),
          .window_rope_base = config.number("localRopeBase"),
          .recompute = config.flag("activationCheckpointing")};
}

}  // namespace merge::nn
