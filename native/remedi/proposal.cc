// Proposal: two passes over the logits of a position; sorting only where a cut of the distribution asks for it.
#include "remedi/proposal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace merge::remedi {
namespace {

// A draw from softmax(logits / temperature), cut to its top_k and then its top_p mass.
int64_t drawn(const float* logits, int64_t vocabulary, float best, const SamplingOptions& options, double uniform) {
  std::vector<double> weight(static_cast<size_t>(vocabulary));
  for (int64_t v = 0; v < vocabulary; ++v) {
    weight[v] = std::exp(static_cast<double>(logits[v] - best) / options.temperature);
  }
  std::vector<int64_t> order(static_cast<size_t>(vocabulary));
  std::iota(order.begin(), order.end(), 0);
  size_t count = order.size();
  double mass = std::accumulate(weight.begin(), weight.end(), 0.0);
  if (options.top_k > 0 || options.top_p < 1) {
    // Ties go to the lower id.
    std::sort(order.begin(), order.end(),
              [&](int64_t a, int64_t b) { return weight[a] > weight[b] || (weight[a] == weight[b] && a < b); });
    if (options.top_k > 0) count = std::min(count, static_cast<size_t>(options.top_k));
    double total = 0;
    for (size_t i = 0; i < count; ++i) total += weight[order[i]];
    size_t within = 0;
    mass = 0;
    while (within < count && (within == 0 || mass < options.top_p * total)) mass += weight[order[within++]];
    count = within;
  }
  double left = uniform * mass;
  size_t pick = 0;
  while (pick + 1 < count && left >= weight[order[pick]]) left -= weight[order[pick++]];
  return order[pick];
}

}  // namespace

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
                                              : drawn(logits, vocabulary, best, options, uniform);
  proposal.logit = logits[proposal.token];
  proposal.probability = probability(proposal.logit);
  proposal.margin = proposal.probability - probability(proposal.token == first ? second : best);
  proposal.entropy = std::max(0.0, std::log(sum) - weighted / sum);
  return proposal;
}

}  // namespace merge::remedi
