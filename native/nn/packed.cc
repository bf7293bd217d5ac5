// Packed: built on the host in one pass, moved to the device once.
#include "nn/packed.h"

#include "ops/upload.h"

namespace merge::nn {

Tensor index_tensor(const std::vector<int64_t>& values, at::Device device) { return ops::upload(values, device); }

Tensor row_positions(const Offsets& offsets, at::Device device) {
  std::vector<int64_t> positions(static_cast<size_t>(offsets.back()));
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    for (int64_t t = offsets[r]; t < offsets[r + 1]; ++t) positions[t] = t - offsets[r];
  }
  return index_tensor(positions, device);
}

Packed pack(const Rows& rows, Sentinels sentinels, at::Device device, const Rows& conditions) {
  Packed packed;
  std::vector<int64_t> tokens;
  tokens.reserve(rows.tokens.size() + conditions.tokens.size() + 3 * static_cast<size_t>(rows.count()));
  for (int64_t r = 0; r < rows.count(); ++r) {
    if (conditions.count() > 0 && conditions.length(r) > 0) {
      for (const int32_t token : conditions.row(r)) tokens.push_back(token);
      tokens.push_back(sentinels.sep);
    }
    packed.begins.push_back(static_cast<int64_t>(tokens.size()));
    tokens.push_back(sentinels.bos);
    for (const int32_t token : rows.row(r)) tokens.push_back(token);
    tokens.push_back(sentinels.eos);
    packed.offsets.push_back(static_cast<int64_t>(tokens.size()));
  }
  packed.tokens_T = index_tensor(tokens, device);
  packed.positions_T = row_positions(packed.offsets, device);
  return packed;
}

}  // namespace merge::nn
