// Rotary position embedding (Su et al. 2021), half-split layout as in LLaMA checkpoints.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// [cos | sin] of each position's angles: positions_T (int64) -> [T, K] for heads of width K.
Tensor rope_angles(const Tensor& positions_T, int64_t head_width, double base, at::ScalarType dtype);
// Rotates the first `heads` heads of width K in each row of x [T, S], S >= heads * K; the rest passes unchanged.
Tensor rope(const Tensor& x_TS, const Tensor& angles_TK, int64_t heads);
Tensor rope_reference(const Tensor& x_TS, const Tensor& angles_TK, int64_t heads);

}  // namespace merge::ops
