// ragged_attention in float32 on the CPU without a gradient: no more scores exist at a time than stay cached.
#pragma once

#include "ops/ragged_attention.h"

namespace merge::ops {

// As ragged_attention; qkv is contiguous, bias and angles undefined or contiguous float32.
Tensor float_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                       const Tensor& angles_TK);

}  // namespace merge::ops
