// float_attention: for each row and head, blocks of queries against all keys.
#include "ops/float_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/blas.h"
#include "kernels/cpu.h"
#include "ops/head_layout.h"
#include "ops/lines.h"

namespace merge::ops {
namespace {

constexpr int64_t kScores = 32 * 1024;  // at a time, 128 KiB; more where rows are so long
constexpr int64_t kQueries = 32;        // at least: products of fewer read all keys for little

}  // namespace

Tensor float_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                       const Tensor& angles_TK) {
  const HeadLayout layout(qkv.size(1), heads);
  const auto [head, stride, width, keys_at, values_at, group] = layout;
  const auto begins = square_offsets(offsets);
  const bool per_head = bias.defined() && bias.size(0) != 1;
  const float* bias_base = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const float* angles_base = angles_TK.defined() ? angles_TK.const_data_ptr<float>() : nullptr;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head));
  Tensor out = at::empty({qkv.size(0), width}, qkv.options());
  const float* base = qkv.const_data_ptr<float>();
  float* out_base = out.mutable_data_ptr<float>();
  const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * heads.queries;
  at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
    Lines<float> query_lines, key_lines, value_lines, score_lines;
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / heads.queries, h = pair % heads.queries, n = offsets[row + 1] - offsets[row];
      if (n == 0) continue;
      const int64_t most = std::clamp<int64_t>(kScores / n, std::min(kQueries, n), n);
      const float* x = base + offsets[row] * stride;
      const float* angles = angles_base == nullptr ? nullptr : angles_base + offsets[row] * head;
      const float* row_bias =
          bias_base == nullptr ? nullptr : bias_base + (per_head ? h * begins.back() : 0) + begins[row];
      float *queries = query_lines.fit(n * head), *keys = key_lines.fit(n * head);
      float *values = value_lines.fit(n * head), *scores = score_lines.fit(most * n);
      // Query heads that share keys come one after the other.
      if (pair == begin || h % group == 0) {
        const int64_t shared = h / group * head;
        kernels::head_rows(x + keys_at + shared, stride, angles, n, n, head, head, keys);
        kernels::head_rows(x + values_at + shared, stride, nullptr, n, n, head, head, values);
      }
      kernels::head_rows(x + h * head, stride, angles, n, n, head, head, queries);
      for (int64_t first = 0; first < n; first += most) {
        const int64_t count = std::min(most, n - first);
        if (row_bias != nullptr) std::copy_n(row_bias + first * n, count * n, scores);
        kernels::multiply(false, true, count, n, head, scale, {queries + first * head, head}, {keys, head}, scores, n,
                          row_bias == nullptr ? 0.0f : 1.0f);
        kernels::softmax_rows(scores, count, n);
        kernels::multiply(false, false, count, head, n, 1.0f, {scores, n}, {values, head},
                          out_base + (offsets[row] + first) * width + h * head, width);
      }
    }
  });
  return out;
}

}  // namespace merge::ops
