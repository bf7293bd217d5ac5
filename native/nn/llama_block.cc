// llama_block: the sizes of a configuration, checked.
#include "nn/llama_block.h"

#include <cmath>

#include "checks.h"

namespace merge::nn {

BlockOptions llama_block(const Record& config) {
  const int64_t width = positive(config, "width"), heads = positive(config, "heads");
  const int64_t key_heads = positive(config, "keyHeads"), layers = positive(config, "layers");
  expect_config(width % heads == 0 && width / heads % 2 == 0,
                "heads: expected a divisor of width " + std::to_string(width) +
                    " that leaves an even head width, received " + std::to_string(heads));
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
          .output_deviation = deviation / std::sqrt(2.0 * static_cast<double>(layers))};
}

}  // namespace merge::nn
