// Depthwise convolution along each row of a packed batch: every position sees its neighbours, none of another row.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// x [T, D], weight [taps, D], taps odd -> y[t] = sum_k weight[k] * x[t + k - taps / 2], positions outside the row being
// 0.
Tensor row_mix(const Tensor& x_TD, const Tensor& weight_KD, const Offsets& offsets);
Tensor row_mix_reference(const Tensor& x_TD, const Tensor& weight_KD, const Offsets& offsets);

}  // namespace merge::ops
