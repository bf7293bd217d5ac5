// window_bias: from the distances of all pairs.
#include "ops/window_bias.h"

#include <limits>

namespace merge::ops {

Tensor distances(const Tensor& positions_T, const Offsets& offsets) {
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const Tensor row = positions_T.narrow(0, offsets[r], offsets[r + 1] - offsets[r]);
    rows.push_back((row.unsqueeze(0) - row.unsqueeze(1)).flatten());
  }
  return rows.empty() ? at::empty({0}, positions_T.options()) : at::cat(rows);
}

Tensor window_bias(const Tensor& positions_T, const Offsets& offsets, int64_t window) {
  const Tensor far_S = distances(positions_T, offsets).abs().gt(window);
  return at::zeros({1, far_S.size(0)}, far_S.options().dtype(at::kFloat))
      .masked_fill(far_S, -std::numeric_limits<float>::infinity());
}

}  // namespace merge::ops
