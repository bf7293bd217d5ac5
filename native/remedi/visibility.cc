// Visibility: the rule, and the bias that it makes. Runs of equal places are filled at once.
#include "remedi/visibility.h"

#include <algorithm>
#include <cmath>

#include "ops/ragged_attention.h"

namespace merge::remedi {

bool sees(const Place& query, const Place& key) {
  if (query.block == Place::kPadding || key.block == Place::kPadding) return false;
  if (key.noisy) return query.noisy && query.block == key.block;
  return query.noisy ? key.block < query.block : key.block <= query.block;
}

Tensor visibility_bias(const std::vector<Place>& places_T, const Offsets& offsets, at::Device device) {
  TORCH_CHECK(offsets.back() == static_cast<int64_t>(places_T.size()), "visibility: offsets end at ", offsets.back(),
              ", expected ", places_T.size());
  const auto begins = ops::square_offsets(offsets);
  Tensor bias = at::empty({1, begins.back()}, at::kFloat);
  float* values = bias.mutable_data_ptr<float>();
  bool hides = false;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const Place* places = places_T.data() + offsets[r];
    const int64_t n = offsets[r + 1] - offsets[r];
    for (int64_t q = 0; q < n; ++q) {
      float* row = values + begins[r] + q * n;
      for (int64_t k = 0; k < n;) {
        int64_t end = k + 1;
        while (end < n && places[end] == places[k]) ++end;
        const bool is_seen = sees(places[q], places[k]);
        hides = hides || !is_seen;
        std::fill(row + k, row + end, is_seen ? 0.0f : -INFINITY);
        k = end;
      }
      row[q] = 0.0f;
    }
  }
  return hides ? bias.to(device) : Tensor();
}

}  // namespace merge::remedi
