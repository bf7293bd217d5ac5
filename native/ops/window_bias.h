// A bias that hides keys beyond a window around the query (Longformer: Beltagy et al. 2020).
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// The bias [1, S] of ops::ragged_attention: 0 where the positions of query and key differ by at most `window`, else
// minus infinity.
Tensor window_bias(const Tensor& positions_T, const Offsets& offsets, int64_t window);

// Position of the key less that of the query for every score, [S], int64.
Tensor distances(const Tensor& positions_T, const Offsets& offsets);

}  // namespace merge::ops
