// half_attention: for each row and head, blocks of 32 queries against all keys; up to about 2,000 of them, what a block
// needs stays in the first two caches.
#include "ops/half_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/tiles.h"
#include "ops/head_work.h"
#include "ops/lines.h"

namespace merge::ops {
namespace {

using kernels::Half;
using kernels::kTileRows;

int64_t whole_tiles(int64_t size) { return (size + kTileRows - 1) / kTileRows * kTileRows; }

class Worker {
 public:
  void operator()(const HeadWork<Half>& work) {
    const int64_t n = work.n, padded = whole_tiles(n), wide = whole_tiles(work.head);
    const float scale = 1.0f / std::sqrt(static_cast<float>(work.head));
    Half *rows = rows_.fit(padded * wide), *keys = keys_.fit(padded * wide);
    Half *values = values_.fit(padded * wide), *weights = weights_.fit(kTileRows * padded);
    float *scores = scores_.fit(kTileRows * padded), *sums = sums_.fit(kTileRows * wide);
    if (work.has_new_keys) {
      kernels::head_rows(work.keys, work.stride, work.angles, n, padded, work.head, wide, rows);
      kernels::pack_keys(rows, padded, wide, keys);
      kernels::pack_values(work.values, work.stride, n, padded, work.head, wide, values);
    }
    kernels::head_rows(work.queries, work.stride, work.angles, n, padded, work.head, wide, rows);
    for (int64_t first = 0; first < n; first += kTileRows) {
      const int64_t count = std::min(n - first, kTileRows);
      // 1) scores, 2) weights, 3) sums of values
      kernels::multiply_tiles(padded, wide, rows + first * wide, keys, scores);
      float shares[kTileRows];
      for (int64_t i = 0; i < count; ++i) {
        const float* bias = work.bias == nullptr ? nullptr : work.bias + (first + i) * n;
        shares[i] = kernels::soft_weights(scores + i * padded, bias, scale, n, padded, weights + i * padded);
      }
      kernels::multiply_tiles(wide, padded, weights, values, sums);
      kernels::narrow_rows(sums, wide, shares, work.out + first * work.width, work.width, count, work.head);
    }
  }

 private:
  kernels::TileRegisters registers_;
  Lines<Half> rows_, keys_, values_, weights_;
  Lines<float> scores_, sums_;
};

}  // namespace

bool has_half_attention(const Tensor& qkv) {
  return kernels::has_tiles() && qkv.device().is_cpu() && qkv.scalar_type() == at::kBFloat16;
}

Tensor half_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                      const Tensor& angles_TK) {
  return over_heads<Half, Worker>(qkv, offsets, heads, bias, angles_TK);
}

}  // namespace merge::ops
