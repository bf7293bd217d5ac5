// relative_bias: one look-up of the bucket for each pair of positions, then one of the table; gradients flow to it.
#include "ops/relative_bias.h"

#include <cstdlib>

#include "ops/window_bias.h"

namespace merge::ops {

int64_t relative_bucket(int64_t distance) {
  constexpr int64_t kSide = kRelativeBuckets / 2, kExact = kSide / 2;
  const int64_t n = std::abs(distance);
  int64_t bucket = std::min(n, kExact);
  // kExact + floor(8 log(n / 8) / log(128 / 8)): a step is a factor of sqrt(2), in whole numbers.
  while (n >= kExact && bucket + 1 < kSide && n * n >= (kExact * kExact) << (bucket + 1 - kExact)) ++bucket;
  return distance > 0 ? kSide + bucket : bucket;
}

Tensor relative_bias(const Tensor& table_HR, const Tensor& positions_T, const Offsets& offsets) {
  TORCH_CHECK(table_HR.dim() == 2 && table_HR.size(1) == kRelativeBuckets, "relative_bias: expected a table [H, ",
              kRelativeBuckets, "], received ", table_HR.sizes());
  Tensor buckets = at::empty({2 * kFarthest + 1}, at::kLong);
  for (int64_t d = -kFarthest; d <= kFarthest; ++d) {
    buckets.mutable_data_ptr<int64_t>()[d + kFarthest] = relative_bucket(d);
  }
  const Tensor distance_S = distances(positions_T, offsets);
  const Tensor bucket_S =
      buckets.to(positions_T.device()).index_select(0, distance_S.clamp(-kFarthest, kFarthest).add_(kFarthest));
  return table_HR.gather(1, bucket_S.unsqueeze(0).expand({table_HR.size(0), -1}));
}

}  // namespace merge::ops
