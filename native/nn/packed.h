// Packed: ragged rows between their sentinels, each behind its condition, as the encoder reads them.
#pragma once

#include "ops/tensor.h"
#include "rows.h"

namespace merge::nn {

// The tokens that stand around rows.
struct Sentinels {
  int32_t bos, eos, sep;
};

// Row r is [condition SEP] [BOS] x_1 .. x_n [EOS] at positions offsets[r] .. offsets[r + 1]; T positions in all.
struct Packed {
  Offsets offsets{0};
  std::vector<int64_t> begins;  // position of each row's BOS
  Tensor tokens_T;              // int64
  Tensor positions_T;           // int64, from 0 in every row

  int64_t count() const { return static_cast<int64_t>(begins.size()); }
  // Packed position of token i of row r.
  int64_t token(int64_t r, int64_t i) const { return begins[r] + 1 + i; }
};

// `conditions`, if it has rows at all, has one for each row; an empty one stands without its SEP.
Packed pack(const Rows& rows, Sentinels sentinels, at::Device device, const Rows& conditions = {});

// 0, 1, .. n - 1 for each row: the positions of packed rows.
Tensor row_positions(const Offsets& offsets, at::Device device);

// An int64 tensor on the model's device.
Tensor index_tensor(const std::vector<int64_t>& values, at::Device device);

}  // namespace merge::nn
