// encoder_options: each field checked, each word turned into its choice.
#include "nn/encoder_config.h"

#include <cmath>

#include "checks.h"

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

BlockOptions block_options(const Record& config, int64_t layers) {
  const int64_t width = positive(config, "width"), heads = positive(config, "heads");
  expect_config(width % heads == 0 && width / heads % 2 == 0,
                "heads: expected a divisor of width " + std::to_string(width) +
                    " that leaves an even head width, received " + std::to_string(heads));
  const int64_t key_heads = positive(config, "keyHeads");
  expect_config(heads % key_heads == 0, "keyHeads: expected a divisor of heads " + std::to_string(heads) +
                                            ", received " + std::to_string(key_heads));
  // Unit-variance products at any width; the LLaMA family's .02 is this rule at width 2500.
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width));
  return {.width = width,
          .heads = heads,
          .key_heads = key_heads,
          .feed_forward = positive(config, "feedForward"),
          .norm_epsilon = config.number("normEpsilon"),
          .deviation = deviation,
          .output_deviation = deviation / std::sqrt(2.0 * static_cast<double>(layers)),
          .norm = one_of(config, "norm", {"rms", "layer"}) == "layer" ? NormKind::kLayer : NormKind::kRms,
          .norm_place =
              one_of(config, "normPlace", {"before", "after"}) == "after" ? NormPlace::kAfter : NormPlace::kBefore,
          .biases = biases_of(one_of(config, "biases", {"none", "queries", "all"})),
          .activation = activation_of(one_of(config, "activation", {"swiglu", "geglu", "gelu"}))};
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
          .block = block_options(config, layers),
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
