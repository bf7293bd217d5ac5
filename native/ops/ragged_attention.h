// Attention of every position to all positions of its own row, over packed rows: no padding exists to be masked.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// qkv [T, 3D] as [q | k | v], heads of width D / heads -> [T, D]; softmax(q k^T / sqrt(K)) v inside each row.
Tensor ragged_attention(const Tensor& qkv_T3D, const Offsets& offsets, int64_t heads);
Tensor ragged_attention_reference(const Tensor& qkv_T3D, const Offsets& offsets, int64_t heads);

}  // namespace merge::ops
