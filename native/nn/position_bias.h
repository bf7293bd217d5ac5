// Biases of the attention scores that follow from positions: T5's relative ones, and windows.
#pragma once

#include "ops/tensor.h"

namespace merge::nn {

inline constexpr int64_t kRelativeBuckets = 32;  // half for keys up to the query, half behind it
inline constexpr int64_t kFarthest = 128;        // all distances from here on share the last bucket

// A learned number for each head and each bucket of distances (T5: Raffel et al. 2020, section 2.1); the nearest
// distances have a bucket each, farther ones share, in logarithmic steps. table_HR [H, 32], positions_T (int64) of
// packed rows -> the bias [H, S] of ops::ragged_attention.
Tensor relative_bias(const Tensor& table_HR, const Tensor& positions_T, const Offsets& offsets);

// The bucket of a key this many positions behind the query (before it: negative).
int64_t relative_bucket(int64_t distance);

// The bias [1, S] that hides keys beyond a window (Longformer: Beltagy et al. 2020): 0 where the positions of query and
// key differ by at most `window`, else minus infinity.
Tensor window_bias(const Tensor& positions_T, const Offsets& offsets, int64_t window);

}  // namespace merge::nn
