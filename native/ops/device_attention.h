// Ragged attention on a GPU, by libtorch's own kernels.
#pragma once

#include "ops/ragged_attention.h"

namespace merge::ops {

// True where flash attention takes packed rows as they are: half-width values on a GPU, heads of a width that divides
// by 8, no bias.
bool has_flash_attention(const Tensor& qkv, Heads heads, const Tensor& bias);
Tensor flash_attention(const Tensor& qkv, const Offsets& offsets, Heads heads);

// Any values, device and bias: all rows padded to the longest, in one call.
Tensor padded_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias = {});

}  // namespace merge::ops
