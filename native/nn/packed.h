// Packed: ragged rows between their sentinels, as the encoder reads them.
#pragma once

#include "ops/tensor.h"
#include "rows.h"

namespace merge::nn {

// Row r is [BOS] x_1 .. x_n [EOS] at positions offsets[r] .. offsets[r + 1]; T positions in all.
struct Packed {
  Offsets offsets{0};
  Tensor tokens_T;     // int64
  Tensor positions_T;  // int64, from 0 in every row

  int64_t count() const { return static_cast<int64_t>(offsets.size()) - 1; }
  // Packed position of token i of row r.
  int64_t token(int64_t r, int64_t i) const { return offsets[r] + 1 + i; }
};

Packed pack(const Rows& rows, int32_t bos, int32_t eos, at::Device device);

// 0, 1, .. n - 1 for each row: the positions of packed rows.
Tensor row_positions(const Offsets& offsets, at::Device device);

// An int64 tensor on the model's device.
Tensor index_tensor(const std::vector<int64_t>& values, at::Device device);

}  // namespace merge::nn
