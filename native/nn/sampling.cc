// sampled: the logits are sorted only where a cut of the distribution asks for it.
#include "nn/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace merge::nn {

int64_t sampled(const float* logits, int64_t vocabulary, const SamplingOptions& options, double uniform) {
  const float best = *std::max_element(logits, logits + vocabulary);
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

}  // namespace merge::nn
