// Rotary: rows of a table on the CPU. A GPU computes them: only it knows the farthest position.
#include "nn/rotary.h"

#include <algorithm>

#include "ops/rope.h"

namespace merge::nn {

Tensor Rotary::angles(const Tensor& positions_T, at::ScalarType activations) const {
  const auto dtype = activations == at::kDouble ? at::kDouble : at::kFloat;
  if (!positions_T.device().is_cpu() || positions_T.numel() == 0) {
    return ops::rope_angles(positions_T, head_width_, base_, dtype);
  }
  const bool fits = table_PK_.defined() && table_PK_.scalar_type() == dtype;
  const int64_t needed = positions_T.max().item<int64_t>() + 1, known = fits ? table_PK_.size(0) : 0;
  if (known < needed) {
    const Tensor positions_P = at::arange(std::max(needed, 2 * known), positions_T.options());
    table_PK_ = ops::rope_angles(positions_P, head_width_, base_, dtype);
  }
  return table_PK_.index_select(0, positions_T);
}

}  // namespace merge::nn
