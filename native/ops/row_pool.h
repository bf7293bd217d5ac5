// Pooling over each row of a packed batch.
#pragma once

#include "ops/tensor.h"

namespace merge::ops {

// x [T, D] -> [mean | max] of each row, [B, 2D]; rows must not be empty. The lowest position wins a tie of the maximum.
Tensor row_mean_max(const Tensor& x_TD, const Offsets& offsets);
Tensor row_mean_max_reference(const Tensor& x_TD, const Offsets& offsets);

}  // namespace merge::ops
