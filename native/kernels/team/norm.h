// RMS norm of a row by a team; statistics in float32. See ops/rms_norm.h.
#pragma once

#include <cmath>

#include "kernels/team/team.h"

namespace merge::kernels {

// x, y [width], weight [width]; *scale = 1 / sqrt(mean(x^2) + epsilon) is kept for the backward.
template <typename Team, typename Value>
MERGE_KERNEL void rms_norm_row(Team& team, const Value* x, const float* weight, Value* y, float* scale, int64_t width,
                               float epsilon) {
  float squares = 0;
  for (int64_t i = team.rank(); i < width; i += team.size()) squares += widened(x[i]) * widened(x[i]);
  const float s = 1.0f / std::sqrt(team.sum(squares) / static_cast<float>(width) + epsilon);
  if (team.rank() == 0) *scale = s;
  for (int64_t i = team.rank(); i < width; i += team.size()) put(y[i], widened(x[i]) * s * weight[i]);
}

template <typename Team, typename Value>
MERGE_KERNEL void rms_norm_row_backward(Team& team, const Value* grad_y, const Value* x, const float* weight, float s,
                                        Value* grad_x, int64_t width) {
  float products = 0;
  for (int64_t i = team.rank(); i < width; i += team.size()) products += widened(grad_y[i]) * weight[i] * widened(x[i]);
  const float inner = team.sum(products) * s * s / static_cast<float>(width);
  for (int64_t i = team.rank(); i < width; i += team.size()) {
    put(grad_x[i], s * (widened(grad_y[i]) * weight[i] - widened(x[i]) * inner));
  }
}

// One column's gradient of the weight over the rows of a share; shares are added afterwards, in order.
template <typename Value>
MERGE_KERNEL float rms_norm_weight_gradient(const Value* grad_y, const Value* x, const float* scale, Row rows,
                                            int64_t column, int64_t width) {
  float sum = 0;
  for (int64_t t = rows.begin; t < rows.end; ++t) {
    sum += widened(grad_y[t * width + column]) * widened(x[t * width + column]) * scale[t];
  }
  return sum;
}

}  // namespace merge::kernels
