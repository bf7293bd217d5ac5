// Loops of the straight-through samplers, forward and backward side by side.
#include "kernels/samplers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace merge::kernels {

void bernoulli_forward(const float* logits, const double* noise, float* sample, float* relaxed, float* slope,
                       int64_t begin, int64_t end, double temperature) {
  for (int64_t i = begin; i < end; ++i) {
    const double score = static_cast<double>(logits[i]) + noise[i];
    const double small = std::exp(-std::abs(score) / temperature), whole = 1 + small;
    sample[i] = score > 0 ? 1.0f : 0.0f;
    relaxed[i] = static_cast<float>((score > 0 ? 1 : small) / whole);
    slope[i] = static_cast<float>(small / (whole * whole * temperature));
  }
}

RelaxedTopK::RelaxedTopK(const double* scores, int64_t gaps, int64_t k, double temperature)
    : scores_(scores), gaps_(gaps), temperature_(temperature), relaxed_(static_cast<size_t>(gaps)) {
  constexpr double kClosed = -std::numeric_limits<double>::infinity();
  k_ = std::min<int64_t>(k, std::count_if(scores, scores + gaps, [](double score) { return score > kClosed; }));
  std::vector<double> weights(scores, scores + gaps);
  for (double& weight : weights) weight /= temperature;
  for (int64_t t = 0; t < k_; ++t) {
    turns_.push_back(turn_of(weights));
    const Turn& turn = turns_.back();
    for (int64_t i = 0; i < gaps_; ++i) {
      const double p = std::exp(turn.weights[i] - turn.log_sum);
      relaxed_[i] += p;
      if (t + 1 < k_) weights[i] += (i == turn.lead ? turn.log_others - turn.log_sum : std::log1p(-p)) / temperature;
    }
  }
}

RelaxedTopK::Turn RelaxedTopK::turn_of(std::vector<double> weights) const {
  const int64_t top = std::max_element(weights.begin(), weights.end()) - weights.begin();
  const auto log_sum_without = [&](int64_t gone) {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t i = 0; i < gaps_; ++i) most = i == gone ? most : std::max(most, weights[i]);
    if (std::isinf(most)) return most;
    for (int64_t i = 0; i < gaps_; ++i) sum += i == gone ? 0 : std::exp(weights[i] - most);
    return most + std::log(sum);
  };
  Turn turn;
  turn.log_sum = log_sum_without(-1);
  if (weights[top] - turn.log_sum > std::log(.5)) {
    turn.lead = top;
    turn.log_others = log_sum_without(top);
  }
  turn.weights = std::move(weights);
  return turn;
}

void RelaxedTopK::sample(float* hard) const {
  std::vector<int64_t> order(static_cast<size_t>(gaps_));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k_, order.end(), [&](int64_t a, int64_t b) {
    return scores_[a] > scores_[b] || (scores_[a] == scores_[b] && a < b);
  });
  std::fill(hard, hard + gaps_, 0.0f);
  for (int64_t t = 0; t < k_; ++t) hard[order[t]] = 1;
}

// Last softmax first; `grad` is that of the weights which the softmax behind it read.
//   p_i by w_m: p_i (d_im - p_m);   log(1 - p_i) by w_m: others_m - p_m for m != i, where others_m = p_m / (1 - p_i);
//   -p_i for m = i.
void RelaxedTopK::backward(const float* grad_relaxed, float* grad_scores) const {
  std::vector<double> grad(static_cast<size_t>(gaps_)), p(grad.size()), own(grad.size());
  for (int64_t t = k_ - 1; t >= 0; --t) {
    const Turn& turn = turns_[t];
    double sum = 0;  // of p_i * (what p_i gets)
    for (int64_t i = 0; i < gaps_; ++i) {
      p[i] = std::exp(turn.weights[i] - turn.log_sum);
      own[i] = grad_relaxed[i];
      if (i != turn.lead) own[i] -= grad[i] / temperature_ / (1 - p[i]);
      sum += own[i] * p[i];
    }
    const bool is_led = turn.lead >= 0 && t + 1 < k_;
    const double led = is_led ? grad[turn.lead] / temperature_ : 0;
    for (int64_t i = 0; i < gaps_; ++i) {
      grad[i] += p[i] * (own[i] - sum);
      if (!is_led) continue;
      const double others = i == turn.lead ? 0 : std::exp(turn.weights[i] - turn.log_others);
      grad[i] += led * (others - p[i]);
    }
  }
  for (int64_t i = 0; i < gaps_; ++i) grad_scores[i] += static_cast<float>(grad[i] / temperature_);
}

void largest_remainder(const float* expected, float* counts, int64_t length) {
  double total = 0, whole = 0;
  std::vector<int64_t> order(static_cast<size_t>(length));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = 0; i < length; ++i) {
    counts[i] = std::floor(expected[i]);
    total += expected[i];
    whole += counts[i];
  }
  const int64_t missing = static_cast<int64_t>(std::floor(total + .5) - whole);
  const auto remainder = [&](int64_t i) { return expected[i] - counts[i]; };
  std::partial_sort(order.begin(), order.begin() + missing, order.end(), [&](int64_t a, int64_t b) {
    return remainder(a) > remainder(b) || (remainder(a) == remainder(b) && a < b);
  });
  for (int64_t i = 0; i < missing; ++i) counts[order[i]] += 1;
}

}  // namespace merge::kernels
