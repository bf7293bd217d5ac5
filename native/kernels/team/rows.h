// Kernels over a row of [T, width] values by a team: depthwise convolution and pooling. Sums in float32.
#pragma once

#include "kernels/team/team.h"

namespace merge::kernels {

// y[t] = sum_k weight[k] x[t + k - taps / 2] within the row; `flipped` reads the taps from the other end, which is the
// gradient of x for a given y. See ops/row_mix.h.
template <typename Team, typename Value>
MERGE_KERNEL void mix_row(Team& team, const Value* x, const float* weight, Value* y, Row row, int64_t taps,
                          int64_t width, bool flipped) {
  for (int64_t i = row.begin * width + team.rank(); i < row.end * width; i += team.size()) {
    const int64_t t = i / width, column = i % width;
    float sum = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t from = flipped ? t - k + taps / 2 : t + k - taps / 2;
      if (from >= row.begin && from < row.end) sum += weight[k * width + column] * widened(x[from * width + column]);
    }
    put(y[i], sum);
  }
}

// This row's share of the gradient of the weight, [taps, width].
template <typename Team, typename Value>
MERGE_KERNEL void mix_row_weight_gradient(Team& team, const Value* grad_y, const Value* x, float* share, Row row,
                                          int64_t taps, int64_t width) {
  for (int64_t i = team.rank(); i < taps * width; i += team.size()) {
    const int64_t k = i / width, column = i % width;
    float sum = 0;
    for (int64_t t = row.begin; t < row.end; ++t) {
      const int64_t from = t + k - taps / 2;
      if (from >= row.begin && from < row.end)
        sum += widened(grad_y[t * width + column]) * widened(x[from * width + column]);
    }
    share[i] = sum;
  }
}

// pooled [2 width] = [mean | max] of the row, where [width] the place of each maximum, the lowest of equal ones.
template <typename Team, typename Value>
MERGE_KERNEL void pool_row(Team& team, const Value* x, Value* pooled, int64_t* where, Row row, int64_t width) {
  for (int64_t column = team.rank(); column < width; column += team.size()) {
    float sum = 0, top = widened(x[row.begin * width + column]);
    int64_t top_at = row.begin;
    for (int64_t t = row.begin; t < row.end; ++t) {
      const float value = widened(x[t * width + column]);
      sum += value;
      if (value > top) top = value, top_at = t;
    }
    put(pooled[column], sum / static_cast<float>(row.length()));
    put(pooled[width + column], top);
    where[column] = top_at;
  }
}

template <typename Team, typename Value>
MERGE_KERNEL void pool_row_backward(Team& team, const Value* grad, const int64_t* where, Value* grad_x, Row row,
                                    int64_t width) {
  for (int64_t i = row.begin * width + team.rank(); i < row.end * width; i += team.size()) {
    const int64_t column = i % width;
    const float mean = widened(grad[column]) / static_cast<float>(row.length());
    put(grad_x[i], mean + (where[column] == i / width ? widened(grad[width + column]) : 0.0f));
  }
}

}  // namespace merge::kernels
