// half_attention: for each row and head, blocks of 32 queries against all keys. Every product has one of few shapes,
// for libtorch makes machine code for each.
#include "ops/half_attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/native/CPUBlas.h>

#include <cmath>

#include "ops/float_rows.h"
#include "ops/head_layout.h"

namespace merge::ops {
namespace {

using kernels::Half;

constexpr int64_t kQueries = 32;        // of a block; keys are padded to a multiple of it
constexpr int64_t kScores = 64 * 1024;  // at most at a time, 256 KiB: they stay in the second cache

// The memory of a thread for its row and head.
struct Scratch {
  std::vector<Half> queries, keys, values, weights;
  std::vector<float> scores, shares, sums;

  void fit(int64_t padded, int64_t head, int64_t group_queries) {
    queries.resize(static_cast<size_t>(kQueries * head));
    keys.resize(static_cast<size_t>(padded * head));
    values.resize(static_cast<size_t>(padded * head));
    weights.resize(static_cast<size_t>(group_queries * padded));
    scores.resize(static_cast<size_t>(group_queries * padded));
    shares.resize(static_cast<size_t>(group_queries));
    sums.resize(static_cast<size_t>(kQueries * head));
  }
};

// c [32, n] = a [32, k] b [k, n], b in pairs.
void multiply(int64_t n, int64_t k, const Half* a, int64_t stride_a, const Half* b, float* c) {
  at::native::cpublas::brgemm(kQueries, n, k, stride_a, n, n, /*add_C=*/false, reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b), c,
                              /*is_vnni=*/true);
}

}  // namespace

bool has_half_attention(const Tensor& qkv, Heads heads, const Tensor& bias) {
  static const bool can_multiply = at::native::cpublas::could_pack(at::kBFloat16);
  const bool wants_gradient =
      at::GradMode::is_enabled() && (qkv.requires_grad() || (bias.defined() && bias.requires_grad()));
  return can_multiply && !wants_gradient && qkv.device().is_cpu() && qkv.scalar_type() == at::kBFloat16 &&
         qkv.size(1) / (heads.queries + 2 * heads.keys) % 2 == 0;
}

Tensor half_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias) {
  const HeadLayout layout(qkv.size(1), heads);
  const auto [head, stride, width, keys, values, group] = layout;
  const auto begins = square_offsets(offsets);
  const bool per_head = bias.defined() && bias.size(0) != 1;
  const float* bias_base = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const float scale = 1.0f / std::sqrt(static_cast<float>(head));
  Tensor out = at::empty({qkv.size(0), width}, qkv.options());
  const Half* base = half_data(qkv);
  Half* out_base = half_data(out);
  const int64_t pairs = (static_cast<int64_t>(offsets.size()) - 1) * heads.keys;
  at::parallel_for(0, pairs, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / heads.keys, key_head = pair % heads.keys, n = offsets[row + 1] - offsets[row];
      if (n == 0) continue;
      const int64_t padded = (n + kQueries - 1) / kQueries * kQueries;
      const Half* x = base + offsets[row] * stride;
      const int64_t group_queries = std::clamp(kScores / padded / kQueries * kQueries, kQueries, padded);
      scratch.fit(padded, head, group_queries);
      kernels::pack_keys(x + keys + key_head * head, stride, n, padded, head, scratch.keys.data());
      kernels::pack_values(x + values + key_head * head, stride, n, padded, head, scratch.values.data());
      for (int64_t h = key_head * group; h < (key_head + 1) * group; ++h) {
        const float* row_bias =
            bias_base == nullptr ? nullptr : bias_base + (per_head ? h * begins.back() : 0) + begins[row];
        for (int64_t first = 0; first < n; first += group_queries) {
          const int64_t last = std::min(n, first + group_queries);
          // 1) scores: changing from one shape of product to the other takes the processor as long as a product
          for (int64_t block = first; block < last; block += kQueries) {
            const Half* queries = x + block * stride + h * head;
            int64_t stride_queries = stride;
            if (n - block < kQueries) {  // what lies behind the last row is not ours to read
              for (int64_t i = block; i < n; ++i) {
                std::copy_n(x + i * stride + h * head, head, scratch.queries.data() + (i - block) * head);
              }
              queries = scratch.queries.data();
              stride_queries = head;
            }
            multiply(padded, head, queries, stride_queries, scratch.keys.data(),
                     scratch.scores.data() + (block - first) * padded);
          }
          // 2) weights
          for (int64_t i = first; i < last; ++i) {
            const int64_t at = (i - first) * padded;
            scratch.shares[i - first] =
                kernels::soft_weights(scratch.scores.data() + at, row_bias == nullptr ? nullptr : row_bias + i * n,
                                      scale, n, padded, scratch.weights.data() + at);
          }
          // 3) sums of values
          for (int64_t block = first; block < last; block += kQueries) {
            multiply(head, padded, scratch.weights.data() + (block - first) * padded, padded, scratch.values.data(),
                     scratch.sums.data());
            kernels::narrow_rows(scratch.sums.data(), scratch.shares.data() + (block - first),
                                 out_base + (offsets[row] + block) * width + h * head, width,
                                 std::min(n - block, kQueries), head);
          }
        }
      }
    }
    at::native::cpublas::brgemm_release();
  });
  return out;
}

}  // namespace merge::ops
