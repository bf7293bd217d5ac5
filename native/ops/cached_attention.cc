// cached_attention: reference from basic ops, and the CPU path: scores over the cache and over the new positions side
// by side in one matrix, so that nothing is copied together.
#include "ops/cached_attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <cmath>

#include "kernels/blas.h"
#include "kernels/cpu.h"

namespace merge::ops {
namespace {

using kernels::Matrix;
using kernels::multiply;

Tensor run(const Tensor& qkv, const Offsets& offsets, Heads heads, const std::vector<Tensor>& past_B, Among among) {
  const int64_t stride = qkv.size(1), head = stride / (heads.queries + 2 * heads.keys), width = heads.queries * head;
  const int64_t keys = heads.keys * head, group = heads.queries / heads.keys, cache = 2 * keys;
  Tensor out = at::empty({qkv.size(0), width}, qkv.options());
  const float* base = qkv.const_data_ptr<float>();
  float* out_base = out.mutable_data_ptr<float>();
  const float scale = 1.0f / std::sqrt(static_cast<float>(head));
  const int64_t pairs = static_cast<int64_t>(past_B.size()) * heads.queries;
  at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scores;
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / heads.queries, h = pair % heads.queries, n = offsets[row + 1] - offsets[row];
      if (n == 0) continue;
      const int64_t past = past_B[row].size(0), all = past + n, shared = h / group * head;
      const float* x = base + offsets[row] * stride;
      const float* old = past_B[row].const_data_ptr<float>() + shared;
      const Matrix q{x + h * head, stride}, new_keys{x + width + shared, stride},
          new_values{x + width + keys + shared, stride};
      float* y = out_base + offsets[row] * width + h * head;
      scores.resize(static_cast<size_t>(n * all));
      float* p = scores.data();
      if (past > 0) multiply(false, true, n, past, head, scale, q, {old, cache}, p, all);
      multiply(false, true, n, n, head, scale, q, new_keys, p + past, all);
      if (among == Among::kEarlier) {
        for (int64_t i = 0; i < n; ++i) std::fill(p + i * all + past + i + 1, p + (i + 1) * all, -INFINITY);
      }
      kernels::softmax_rows(p, n, all);
      multiply(false, false, n, head, n, 1.0f, {p + past, all}, new_values, y, width);
      if (past > 0) multiply(false, false, n, head, past, 1.0f, {p, all}, {old + keys, cache}, y, width, 1.0f);
    }
  });
  return out;
}

}  // namespace

Tensor cached_attention_reference(const Tensor& qkv, const Offsets& offsets, Heads heads,
                                  const std::vector<Tensor>& past_B, Among among) {
  const int64_t head = qkv.size(1) / (heads.queries + 2 * heads.keys), group = heads.queries / heads.keys;
  std::vector<Tensor> rows;
  for (size_t r = 0; r < past_B.size(); ++r) {
    const int64_t n = offsets[r + 1] - offsets[r], past = past_B[r].size(0);
    const Tensor row = qkv.narrow(0, offsets[r], n).view({n, heads.queries + 2 * heads.keys, head});
    const Tensor q = row.narrow(1, 0, heads.queries).transpose(0, 1);
    const Tensor kv =
        at::cat({past_B[r].view({past, 2 * heads.keys, head}), row.narrow(1, heads.queries, 2 * heads.keys)})
            .transpose(0, 1);
    const Tensor k = kv.narrow(0, 0, heads.keys).repeat_interleave(group, 0);
    const Tensor v = kv.narrow(0, heads.keys, heads.keys).repeat_interleave(group, 0);
    Tensor scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(head));
    if (among == Among::kEarlier) {
      const Tensor later = at::ones({n, past + n}, scores.options()).triu(past + 1).to(at::kBool);
      scores = scores.masked_fill(later, -INFINITY);
    }
    rows.push_back(at::matmul(at::softmax(scores, -1), v).transpose(0, 1).reshape({n, heads.queries * head}));
  }
  return rows.empty() ? qkv.narrow(1, 0, heads.queries * head) : at::cat(rows, 0);
}

Tensor cached_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const std::vector<Tensor>& past_B,
                        Among among) {
  RECORD_USER_SCOPE("cached_attention");
  at::NoGradGuard no_grad;
  TORCH_CHECK(qkv.dim() == 2 && heads.queries % heads.keys == 0 && qkv.size(1) % (heads.queries + 2 * heads.keys) == 0,
              "cached_attention: expected [T, (H + 2G) K] with ", heads.queries, " and ", heads.keys,
              " heads, received ", qkv.sizes());
  TORCH_CHECK(offsets.size() == past_B.size() + 1 && offsets.back() == qkv.size(0), "cached_attention: ", past_B.size(),
              " rows end at ", offsets.empty() ? -1 : offsets.back(), ", expected ", qkv.size(0));
  const int64_t cache = qkv.size(1) / (heads.queries + 2 * heads.keys) * 2 * heads.keys;
  for (const Tensor& past : past_B) {
    TORCH_CHECK(past.dim() == 2 && past.size(1) == cache && past.scalar_type() == qkv.scalar_type(),
                "cached_attention: expected a cache of rows of ", cache, " values, received ", past.sizes());
  }
  // bfloat16 on the CPU runs its scores in float32, as ragged_attention does.
  const bool is_half = qkv.device().is_cpu() && qkv.scalar_type() == at::kBFloat16;
  if (!has_cpu_kernel(qkv) && !is_half) return cached_attention_reference(qkv, offsets, heads, past_B, among);
  std::vector<Tensor> past_float;
  for (const Tensor& past : past_B) past_float.push_back(past.to(at::kFloat).contiguous());
  return run(qkv.to(at::kFloat).contiguous(), offsets, heads, past_float, among).to(qkv.scalar_type());
}

}  // namespace merge::ops
