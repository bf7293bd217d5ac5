// Root-mean-square normalisation of the last dimension (Zhang and Sennrich 2019).
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// x [..., D], weight [D] -> [..., D].
Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon);
Tensor rms_norm_reference(const Tensor& x, const Tensor& weight, double epsilon);

}  // namespace merge::ops
