// half_attention: for each row and head, blocks of 32 queries against all keys; up to about 2,000 of them, what a block
// needs stays in the first two caches.
#include "ops/half_attention.h"

#include <cmath>

#include "kernels/attention.h"
#include "kernels/tiles.h"
#include "ops/float_rows.h"
#include "ops/head_layout.h"
#include "ops/lines.h"

namespace merge::ops {
namespace {

using kernels::Half;
using kernels::kTileRows;

int64_t whole_tiles(int64_t size) { return (size + kTileRows - 1) / kTileRows * kTileRows; }

}  // namespace

bool has_half_attention(const Tensor& qkv) {
  return kernels::has_tiles() && qkv.device().is_cpu() && qkv.scalar_type() == at::kBFloat16;
}

Tensor half_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                      const Tensor& angles_TK) {
  const HeadLayout layout(qkv.size(1), heads);
  const auto [head, stride, width, keys_at, values_at, group] = layout;
  const int64_t wide = whole_tiles(head);
  const auto begins = square_offsets(offsets);
  const bool per_head = bias.defined() && bias.size(0) != 1;
  const float* bias_base = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const float* angles_base = angles_TK.defined() ? angles_TK.const_data_ptr<float>() : nullptr;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head));
  Tensor out = at::empty({qkv.size(0), width}, qkv.options());
  const Half* base = half_data(qkv);
  Half* out_base = half_data(out);
  const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * heads.queries;
  at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
    const kernels::TileRegisters registers;
    Lines<Half> row_lines, key_lines, value_lines, weight_lines;
    Lines<float> score_lines, sum_lines;
    float shares[kTileRows];
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / heads.queries, h = pair % heads.queries, n = offsets[row + 1] - offsets[row];
      if (n == 0) continue;
      const int64_t padded = whole_tiles(n);
      const Half* x = base + offsets[row] * stride;
      const float* angles = angles_base == nullptr ? nullptr : angles_base + offsets[row] * head;
      const float* row_bias =
          bias_base == nullptr ? nullptr : bias_base + (per_head ? h * begins.back() : 0) + begins[row];
      Half *rows = row_lines.fit(padded * wide), *keys = key_lines.fit(padded * wide);
      Half *values = value_lines.fit(padded * wide), *weights = weight_lines.fit(kTileRows * padded);
      float *scores = score_lines.fit(kTileRows * padded), *sums = sum_lines.fit(kTileRows * wide);
      // Query heads that share keys come one after the other.
      if (pair == begin || h % group == 0) {
        const int64_t shared = h / group * head;
        kernels::head_rows(x + keys_at + shared, stride, angles, n, padded, head, wide, rows);
        kernels::pack_keys(rows, padded, wide, keys);
        kernels::pack_values(x + values_at + shared, stride, n, padded, head, wide, values);
      }
      kernels::head_rows(x + h * head, stride, angles, n, padded, head, wide, rows);
      for (int64_t first = 0; first < n; first += kTileRows) {
        const int64_t count = std::min(n - first, kTileRows);
        // 1) scores, 2) weights, 3) sums of values
        kernels::multiply_tiles(padded, wide, rows + first * wide, keys, scores);
        for (int64_t i = 0; i < count; ++i) {
          shares[i] =
              kernels::soft_weights(scores + i * padded, row_bias == nullptr ? nullptr : row_bias + (first + i) * n,
                                    scale, n, padded, weights + i * padded);
        }
        kernels::multiply_tiles(wide, padded, weights, values, sums);
        kernels::narrow_rows(sums, wide, shares, out_base + (offsets[row] + first) * width + h * head, width, count,
                             head);
      }
    }
  });
  return out;
}

}  // namespace merge::ops
