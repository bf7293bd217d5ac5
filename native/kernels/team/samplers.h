// The straight-through samplers of a row by a team: arithmetic in double, ties to the lowest index, as on the CPU
// (kernels/samplers.h has the formulas).
#pragma once

#include <cmath>
#include <limits>

#include "kernels/team/team.h"

namespace merge::kernels {

constexpr double kClosedGap = -std::numeric_limits<double>::infinity();

// How many stand before value i: larger ones, and equal ones of a lower index.
template <typename Value>
MERGE_KERNEL int64_t standing(const Value* values, int64_t length, int64_t i) {
  int64_t before = 0;
  for (int64_t j = 0; j < length; ++j) before += values[j] > values[i] || (values[j] == values[i] && j < i);
  return before;
}

// Hard set: 1 at the k largest scores that are open.
template <typename Team>
MERGE_KERNEL void take_top(Team& team, const double* scores, float* sample, int64_t gaps, int64_t k) {
  for (int64_t i = team.rank(); i < gaps; i += team.size()) {
    sample[i] = scores[i] > kClosedGap && standing(scores, gaps, i) < k ? 1.0f : 0.0f;
  }
}

// One softmax of the relaxed top-k. The leading gap has p above one half, and the others' share is summed apart.
struct Turn {
  double log_sum, log_others;
  int64_t lead;
};

template <typename Team>
MERGE_KERNEL double log_sum_without(Team& team, const double* weights, int64_t gaps, int64_t gone) {
  double top = kClosedGap;
  for (int64_t i = team.rank(); i < gaps; i += team.size()) top = i == gone || weights[i] < top ? top : weights[i];
  top = team.most(top);
  if (std::isinf(top)) return top;
  double sum = 0;
  for (int64_t i = team.rank(); i < gaps; i += team.size()) sum += i == gone ? 0 : std::exp(weights[i] - top);
  return top + std::log(team.sum(sum));
}

template <typename Team>
MERGE_KERNEL Turn turn_of(Team& team, const double* weights, int64_t gaps) {
  Turn turn{log_sum_without(team, weights, gaps, -1), 0, gaps};
  for (int64_t i = team.rank(); i < gaps; i += team.size()) {
    if (weights[i] - turn.log_sum > std::log(.5)) turn.lead = i;
  }
  turn.lead = team.least(turn.lead);
  turn.log_others = turn.lead < gaps ? log_sum_without(team, weights, gaps, turn.lead) : 0;
  return turn;
}

// scores [gaps] with their noise; takes k, fewer where fewer are open. weights [k, gaps] keeps what each softmax read,
// for the backward.
template <typename Team>
MERGE_KERNEL void pointer_row(Team& team, const double* scores, float* sample, float* relaxed, double* weights,
                              int64_t gaps, int64_t k, double temperature) {
  take_top(team, scores, sample, gaps, k);
  int64_t open = 0;
  for (int64_t i = team.rank(); i < gaps; i += team.size()) {
    open += scores[i] > kClosedGap;
    relaxed[i] = 0;
    if (k > 0) weights[i] = scores[i] / temperature;
  }
  open = static_cast<int64_t>(team.sum(static_cast<double>(open)));
  const int64_t turns = k < open ? k : open;
  for (int64_t t = 0; t < turns; ++t) {
    double* now = weights + t * gaps;
    team.wait();
    const Turn turn = turn_of(team, now, gaps);
    for (int64_t i = team.rank(); i < gaps; i += team.size()) {
      const double p = std::exp(now[i] - turn.log_sum);
      relaxed[i] += static_cast<float>(p);
      if (t + 1 == turns) continue;
      now[gaps + i] = now[i] + (i == turn.lead ? turn.log_others - turn.log_sum : std::log1p(-p)) / temperature;
    }
  }
}

// grad_scores = d(sum of grad_relaxed * relaxed) / d scores, from the last softmax back; grad [gaps] is room for it.
template <typename Team>
MERGE_KERNEL void pointer_row_backward(Team& team, const float* grad_relaxed, const double* scores,
                                       const double* weights, double* grad, float* grad_scores, int64_t gaps, int64_t k,
                                       double temperature) {
  int64_t open = 0;
  for (int64_t i = team.rank(); i < gaps; i += team.size()) {
    open += scores[i] > kClosedGap;
    grad[i] = 0;
  }
  open = static_cast<int64_t>(team.sum(static_cast<double>(open)));
  const int64_t turns = k < open ? k : open;
  for (int64_t t = turns - 1; t >= 0; --t) {
    team.wait();
    const double* now = weights + t * gaps;
    const Turn turn = turn_of(team, now, gaps);
    const auto own = [&](int64_t i, double p) {
      return grad_relaxed[i] - (i == turn.lead ? 0 : grad[i] / temperature / (1 - p));
    };
    double sum = 0;  // of p_i * (what p_i gets)
    for (int64_t i = team.rank(); i < gaps; i += team.size()) {
      const double p = std::exp(now[i] - turn.log_sum);
      sum += own(i, p) * p;
    }
    sum = team.sum(sum);
    const bool is_led = turn.lead < gaps && t + 1 < turns;
    const double led = is_led ? grad[turn.lead] / temperature : 0;
    team.wait();
    for (int64_t i = team.rank(); i < gaps; i += team.size()) {
      const double p = std::exp(now[i] - turn.log_sum);
      double more = p * (own(i, p) - sum);
      if (is_led) more += led * ((i == turn.lead ? 0 : std::exp(now[i] - turn.log_others)) - p);
      grad[i] += more;
    }
  }
  team.wait();
  for (int64_t i = team.rank(); i < gaps; i += team.size()) grad_scores[i] = static_cast<float>(grad[i] / temperature);
}

// Whole numbers for expected ones by largest remainder; remainders [length] is room. Every thread adds the row up in
// its order, so that the rounded sum is the CPU's.
template <typename Team>
MERGE_KERNEL void remainder_row(Team& team, const float* expected, float* counts, float* remainders, int64_t length) {
  double total = 0, whole = 0;
  for (int64_t i = 0; i < length; ++i) {
    total += expected[i];
    whole += std::floor(expected[i]);
  }
  const auto missing = static_cast<int64_t>(std::floor(total + .5) - whole);
  for (int64_t i = team.rank(); i < length; i += team.size()) remainders[i] = expected[i] - std::floor(expected[i]);
  team.wait();
  for (int64_t i = team.rank(); i < length; i += team.size()) {
    counts[i] = std::floor(expected[i]) + (standing(remainders, length, i) < missing ? 1.0f : 0.0f);
  }
}

}  // namespace merge::kernels
