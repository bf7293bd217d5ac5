// cached_attention: reference from basic ops, and the CPU path: scores over the cache and over the new positions side
// by side in one matrix, so that nothing is copied together.
#include "ops/cached_attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <cmath>

#include "kernels/blas.h"
#include "kernels/cpu.h"
#include "ops/float_rows.h"
#include "ops/head_layout.h"

namespace merge::ops {
namespace {

using kernels::Matrix;
using kernels::multiply;

void hide_later(float* scores, int64_t n, int64_t past) {
  const int64_t all = past + n;
  for (int64_t i = 0; i < n; ++i) std::fill(scores + i * all + past + i + 1, scores + (i + 1) * all, -INFINITY);
}

Tensor run(const Tensor& qkv, const Offsets& offsets, Heads heads, const std::vector<Tensor>& past_B, Among among) {
  const HeadLayout layout(qkv.size(1), heads);
  const int64_t head = layout.head, stride = layout.stride, width = layout.width, group = layout.group;
  const int64_t keys = heads.keys * head, cache = 2 * keys;
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
      if (among == Among::kEarlier) hide_later(p, n, past);
      kernels::softmax_rows(p, n, all);
      multiply(false, false, n, head, n, 1.0f, {p + past, all}, new_values, y, width);
      if (past > 0) multiply(false, false, n, head, past, 1.0f, {p, all}, {old + keys, cache}, y, width, 1.0f);
    }
  });
  return out;
}

// bfloat16: keys and values of one head at a time are widened, beside each other, in memory that stays cached.
Tensor run_half(const Tensor& qkv, const Offsets& offsets, Heads heads, const std::vector<Tensor>& past_B,
                Among among) {
  const HeadLayout layout(qkv.size(1), heads);
  const int64_t head = layout.head, stride = layout.stride, width = layout.width, group = layout.group;
  const int64_t keys = heads.keys * head, cache = 2 * keys;
  Tensor out = at::empty({qkv.size(0), width}, qkv.options());
  const float scale = 1.0f / std::sqrt(static_cast<float>(head));
  const int64_t pairs = static_cast<int64_t>(past_B.size()) * heads.keys;
  at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> memory;
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / heads.keys, key_head = pair % heads.keys, n = offsets[row + 1] - offsets[row];
      if (n == 0) continue;
      const int64_t past = past_B[row].size(0), all = past + n;
      memory.resize(static_cast<size_t>((2 * all + 2 * n) * head + n * all));
      float* k = memory.data();
      float *v = k + all * head, *q = v + all * head, *y = q + n * head, *p = y + n * head;
      const auto gather = [&](const kernels::Half* from, int64_t step, int64_t count, float* to) {
        for (int64_t i = 0; i < count; ++i) kernels::widen(from + i * step, to + i * head, head);
      };
      const kernels::Half* x = half_data(qkv) + offsets[row] * stride;
      const kernels::Half* old = half_data(past_B[row]) + key_head * head;
      gather(old, cache, past, k);
      gather(old + keys, cache, past, v);
      gather(x + width + key_head * head, stride, n, k + past * head);
      gather(x + width + keys + key_head * head, stride, n, v + past * head);
      for (int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
        gather(x + h * head, stride, n, q);
        multiply(false, true, n, all, head, scale, {q, head}, {k, head}, p, all);
        if (among == Among::kEarlier) hide_later(p, n, past);
        kernels::softmax_rows(p, n, all);
        multiply(false, false, n, head, all, 1.0f, {p, all}, {v, head}, y, head);
        kernels::Half* to = half_data(out) + offsets[row] * width + h * head;
        for (int64_t i = 0; i < n; ++i) kernels::narrow(y + i * head, to + i * width, head);
      }
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
  std::vector<Tensor> contiguous_B;
  for (const Tensor& past : past_B) contiguous_B.push_back(past.contiguous());
  if (has_cpu_kernel(qkv)) return run(qkv.contiguous(), offsets, heads, contiguous_B, among);
  if (has_cpu_rows(qkv)) return run_half(qkv.contiguous(), offsets, heads, contiguous_B, among);
  return cached_attention_reference(qkv, offsets, heads, past_B, among);
}

}  // namespace merge::ops
