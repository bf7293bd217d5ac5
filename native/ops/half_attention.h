// ragged_attention in bfloat16 on a CPU with tile registers (Intel AMX): scores and sums in float32, without a
// gradient.
#pragma once

#include "ops/ragged_attention.h"

namespace merge::ops {

// True for bfloat16 queries on such a CPU.
bool has_half_attention(const Tensor& qkv);
// As ragged_attention; qkv is contiguous, bias and angles undefined or contiguous float32.
Tensor half_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                      const Tensor& angles_TK);

}  // namespace merge::ops
