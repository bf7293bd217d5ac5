// bfloat16 numbers for kernels that compute in float32: widened and narrowed where they lie in a cache.
#pragma once

#include <cstdint>

#include "kernels/half.h"

namespace merge::kernels {

void widen(const Half* from, float* to, int64_t count);
// To the nearest, ties to even; NaN stays NaN.
void narrow(const float* from, Half* to, int64_t count);

}  // namespace merge::kernels
