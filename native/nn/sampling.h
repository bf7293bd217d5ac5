// Sampling: a token drawn from its logits.
#pragma once

#include <cstdint>

namespace merge::nn {

struct SamplingOptions {
  double temperature;  // 0: the most probable token
  double top_p;
  int64_t top_k;  // 0: all
};

// A draw from softmax(logits / temperature), temperature > 0, cut to its top_k and then its top_p mass; `uniform` is
// the random number in (0, 1).
int64_t sampled(const float* logits, int64_t vocabulary, const SamplingOptions& options, double uniform);

}  // namespace merge::nn
