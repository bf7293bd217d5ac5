// Proposal: two passes over the logits of a position; sorting only where a cut of the distribution asks for it.
#include "remedi/proposal.h"

#include <algorithm>
#include <cmath>

namespace merge::remedi {

Proposal propose(const float* logits, int64_t vocabulary, int64_t shown, const SamplingOptions& options,
                 double uniform) {
  int64_t first = 0;
  float best = -INFINITY, second = -INFINITY;
  for (int64_t v = 0; v < vocabulary; ++v) {
    if (logits[v] > best) {
      second = best;
      best = logits[v];
      first = v;
    } else if (logits[v] > second) {
      second = logits[v];
    }
  }
  double sum = 0, weighted = 0;
  for (int64_t v = 0; v < vocabulary; ++v) {
    const float below = logits[v] - best;
    const double e = std::exp(below);
    sum += e;
    // A forbidden token has no share: 0 log 0 = 0.
    if (e > 0) weighted += e * below;
  }
  const auto probability = [&](double logit) { return std::exp(logit - best) / sum; };
  Proposal proposal;
  proposal.token = shown >= 0                 ? shown
                   : options.temperature == 0 ? first
                                              : nn::sampled(logits, vocabulary, options, uniform);
  proposal.logit = logits[proposal.token];
  proposal.probability = probability(proposal.logit);
  proposal.margin = proposal.probability - probability(proposal.token == first ? second : best);
  proposal.entropy = std::max(0.0, std::log(sum) - weighted / sum);
  return proposal;
}

}  // namespace merge::remedi
