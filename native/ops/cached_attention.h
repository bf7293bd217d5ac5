// Attention of new positions to the cached keys and values of their row and to each other; for inference alone.
#pragma once

#include "ops/ragged_attention.h"

namespace merge::ops {

// How the new positions of a row see each other; all of them see the whole cache.
enum class Among { kAll, kEarlier };

// qkv [T, (H + 2G) K] as [q | k | v], row r at offsets[r]; past_B[r] [n, 2G K] as [k | v], with any n from 0
// -> [T, H K]. Keeps no gradient.
Tensor cached_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const std::vector<Tensor>& past_B,
                        Among among);
Tensor cached_attention_reference(const Tensor& qkv, const Offsets& offsets, Heads heads,
                                  const std::vector<Tensor>& past_B, Among among);

}  // namespace merge::ops
