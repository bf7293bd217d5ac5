// Proposal: the token that stands or would stand at a position, and how sure the token stream is of it.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/sampling.h"

namespace merge::remedi {

using nn::SamplingOptions;

struct Proposal {
  int64_t token;
  double probability;  // at temperature 1, as all that follows
  double logit;
  double margin;   // its probability less that of the most probable other token
  double entropy;  // nats
};

// What a position's logits say, over V tokens of which forbidden ones are -inf. `shown`: the token that stands there,
// -1 for a mask, whose token is drawn with the random number `uniform`.
Proposal propose(const float* logits, int64_t vocabulary, int64_t shown, const SamplingOptions& options,
                 double uniform);

}  // namespace merge::remedi
