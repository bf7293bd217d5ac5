// exp for vectorised loops: Cody-Waite reduction and a degree-6 polynomial, within 2 ulp of std::exp on [-87, 80].
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/inline.h"

namespace merge::kernels {

// Branch-free, so that a loop over it becomes vector code; inputs outside the range saturate.
// Compilers work out what a saturated input leads to and compute it in every lane: at 88, a division by 1 + exp(x)
// would be denormal there, and a hundred times as slow.
MERGE_INLINE float exp_fast(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 80.0f ? 80.0f : x;
  // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
  const float shifted = x * 1.44269504088896341f + 12582912.0f;
  const float whole = shifted - 12582912.0f;
  const float r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t exponent = static_cast<int32_t>(whole) + 127;
  return p * std::bit_cast<float>(exponent << 23);
}

// Weights of a softmax below e^-64 of the largest are 0: no float32 sum sees them, and those of hidden keys (-inf)
// would be subnormal numbers, which make every product with them a hundred times slower.
constexpr float kVanishing = -64.0f;

}  // namespace merge::kernels
