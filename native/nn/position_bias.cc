// relative_bias, window_bias: from the distances of all pairs of positions of a row.
#include "nn/position_bias.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace merge::nn {
namespace {

// Position of the key less that of the query for every score, [S].
Tensor distances(const Tensor& positions_T, const Offsets& offsets) {
  std::vector<Tensor> rows;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const Tensor row = positions_T.narrow(0, offsets[r], offsets[r + 1] - offsets[r]);
    rows.push_back((row.unsqueeze(0) - row.unsqueeze(1)).flatten());
  }
  return rows.empty() ? at::empty({0}, positions_T.options()) : at::cat(rows);
}

}  // namespace

int64_t relative_bucket(int64_t distance) {
  constexpr int64_t kSide = kRelativeBuckets / 2, kExact = kSide / 2;
  const int64_t n = std::abs(distance);
  int64_t bucket = std::min(n, kExact);
  // kExact + floor(8 log(n / 8) / log(128 / 8)): a step is a factor of sqrt(2), in whole numbers.
  while (n >= kExact && bucket + 1 < kSide && n * n >= (kExact * kExact) << (bucket + 1 - kExact)) ++bucket;
  return distance > 0 ? kSide + bucket : bucket;
}

Tensor relative_bias(const Tensor& table_HR, const Tensor& positions_T, const Offsets& offsets) {
  Tensor buckets = at::empty({2 * kFarthest + 1}, at::kLong);
  for (int64_t d = -kFarthest; d <= kFarthest; ++d) {
    buckets.mutable_data_ptr<int64_t>()[d + kFarthest] = relative_bucket(d);
  }
  const Tensor distance_S = distances(positions_T, offsets).clamp(-kFarthest, kFarthest);
  const Tensor bucket_S = buckets.to(positions_T.device()).index_select(0, distance_S + kFarthest);
  return table_HR.gather(1, bucket_S.unsqueeze(0).expand({table_HR.size(0), -1}));
}

Tensor window_bias(const Tensor& positions_T, const Offsets& offsets, int64_t window) {
  const Tensor far_S = distances(positions_T, offsets).abs().gt(window);
  return at::zeros({1, far_S.size(0)}, far_S.options().dtype(at::kFloat))
      .masked_fill(far_S, -std::numeric_limits<float>::infinity());
}

}  // namespace merge::nn
