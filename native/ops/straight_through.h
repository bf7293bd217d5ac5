// What the straight-through samplers share: the pair that they return, their noise, their checks.
#pragma once

#include "ops/tensor.h"
#include "random.h"

namespace merge::ops {

// A hard sample and its surrogate. The gradient of both is that of `relaxed`.
struct StraightThrough {
  Tensor sample, relaxed;
};

// Noise of packed rows, [N] float64: number i of row r is a function of (random, r, i) alone, so a row draws the same
// whatever stands beside it, and the same on every device.
Tensor logistic_noise(const Offsets& offsets, const Random& random, at::Device device = at::kCPU);
Tensor gumbel_noise(const Offsets& offsets, const Random& random, at::Device device = at::kCPU);

// Gaps to draw from: scores [G], noise [G], rows of gaps, how many to draw in each.
struct Draw {
  const Tensor& scores_G;
  const Tensor& noise_G;
  const Offsets& offsets;
  const std::vector<int64_t>& k_B;
  double temperature;
};

// `name` is the op's. ERR_CONFIG: a temperature that is not above 0, a negative k. ERR_SHAPE: rows that do not fit.
// ERR_NONFINITE: values that are no numbers; a score may be -infinity.
void check_temperature(const char* name, double temperature);
void check_rows(const char* name, const Tensor& values_N, const Offsets& offsets);
void check_finite(const char* name, const Tensor& values_N);
void check_draw(const char* name, const Draw& draw);

// float32 or float64: what half-width values are computed in.
Tensor full_width(const Tensor& values);

// `hard` with the gradient of `relaxed`.
StraightThrough straight_through(const Tensor& hard, const Tensor& relaxed);

}  // namespace merge::ops
