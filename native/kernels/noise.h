// Noise of the straight-through samplers: logistic and Gumbel numbers made of uniform ones, always finite.
#pragma once

#include <cmath>

#include "kernels/team/team.h"

namespace merge::kernels {

// 2^-53: Random::uniform() gives odd multiples of it, so neither end of [0, 1]. In float32 its largest value would
// round to 1 and the logarithms below to infinity; so noise is made in double.
constexpr double kEdge = 0x1p-53;

// A uniform number from elsewhere may be 0 or 1; it is moved to the nearest one that random.h can give.
MERGE_KERNEL double inner(double uniform) {
  return uniform < kEdge ? kEdge : uniform > 1 - kEdge ? 1 - kEdge : uniform;
}

// Within +-36.8. The difference of two Gumbel numbers has this law.
MERGE_KERNEL double logistic_noise(double uniform) {
  const double u = inner(uniform);
  return std::log(u / (1 - u));
}

// From -3.7 to 36.8.
MERGE_KERNEL double gumbel_noise(double uniform) { return -std::log(-std::log(inner(uniform))); }

}  // namespace merge::kernels
