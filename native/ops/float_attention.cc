// float_attention: for each row and head, blocks of queries against all keys.
#include "ops/float_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/blas.h"
#include "kernels/cpu.h"
#include "ops/head_work.h"
#include "ops/lines.h"

namespace merge::ops {
namespace {

constexpr int64_t kScores = 32 * 1024;  // at a time, 128 KiB; more where rows are so long
constexpr int64_t kQueries = 32;        // at least: products of fewer read all keys for little

class Worker {
 public:
  void operator()(const HeadWork<float>& work) {
    const int64_t n = work.n, head = work.head;
    const int64_t most = std::clamp<int64_t>(kScores / n, std::min(kQueries, n), n);
    const float scale = 1.0f / std::sqrt(static_cast<float>(head));
    float *queries = queries_.fit(n * head), *keys = keys_.fit(n * head);
    float *values = values_.fit(n * head), *scores = scores_.fit(most * n);
    if (work.has_new_keys) {
      kernels::head_rows(work.keys, work.stride, work.angles, n, n, head, head, keys);
      kernels::head_rows(work.values, work.stride, nullptr, n, n, head, head, values);
    }
    kernels::head_rows(work.queries, work.stride, work.angles, n, n, head, head, queries);
    for (int64_t first = 0; first < n; first += most) {
      const int64_t count = std::min(most, n - first);
      if (work.bias != nullptr) std::copy_n(work.bias + first * n, count * n, scores);
      kernels::multiply(false, true, count, n, head, scale, {queries + first * head, head}, {keys, head}, scores, n,
                        work.bias == nullptr ? 0.0f : 1.0f);
      kernels::softmax_rows(scores, count, n);
      kernels::multiply(false, false, count, head, n, 1.0f, {scores, n}, {values, head}, work.out + first * work.width,
                        work.width);
    }
  }

 private:
  Lines<float> queries_, keys_, values_, scores_;
};

}  // namespace

Tensor float_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias,
                       const Tensor& angles_TK) {
  return over_heads<float, Worker>(qkv, offsets, heads, bias, angles_TK);
}

}  // namespace merge::ops
