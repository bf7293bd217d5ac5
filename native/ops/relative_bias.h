// Relative positions as a bias of the scores (T5: Raffel et al. 2020, section 2.1): a learned number for each head and
// each bucket of distances; the nearest have a bucket each, farther ones share, in logarithmic steps.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

inline constexpr int64_t kRelativeBuckets = 32;  // half for keys before the query, half behind it
inline constexpr int64_t kFarthest = 128;        // all distances from here on share the last bucket

// table_HR [H, 32], positions_T (int64) of packed rows -> the bias [H, S] of ops::ragged_attention.
Tensor relative_bias(const Tensor& table_HR, const Tensor& positions_T, const Offsets& offsets);

// The bucket of a key this many positions behind the query (before it: negative).
int64_t relative_bucket(int64_t distance);

}  // namespace merge::ops
