// HeadWork: one head of one row, as attention without a gradient meets it, and the walk over all of them.
#pragma once

#include "ops/head_layout.h"

namespace merge::ops {

template <typename Element>
struct HeadWork {
  int64_t n, head;                         // positions of the row, width of the head
  const Element *queries, *keys, *values;  // `stride` numbers from one position to the next
  int64_t stride;
  const float* angles;  // [n, head], null: positions do not turn
  const float* bias;    // [n, n], null: none
  Element* out;         // `width` numbers from one position to the next
  int64_t width;
  bool has_new_keys;  // others than the head that this worker did before
};

// Every head of every row of qkv to a worker, one of each thread; heads that share keys come one after the other.
template <typename Element, typename Worker>
Tensor over_heads(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias, const Tensor& angles_TK) {
  const HeadLayout layout(qkv.size(1), heads);
  const auto [head, stride, width, keys, values, group] = layout;
  const auto begins = square_offsets(offsets);
  const bool per_head = bias.defined() && bias.size(0) != 1;
  const float* bias_base = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const float* angles_base = angles_TK.defined() ? angles_TK.const_data_ptr<float>() : nullptr;
  Tensor out = at::empty({qkv.size(0), width}, qkv.options());
  const auto* base = static_cast<const Element*>(qkv.const_data_ptr());
  auto* out_base = static_cast<Element*>(out.mutable_data_ptr());
  at::parallel_for(0, (static_cast<int64_t>(offsets.size()) - 1) * heads.queries, 1, [&](int64_t begin, int64_t end) {
    Worker worker;
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / heads.queries, h = pair % heads.queries, n = offsets[row + 1] - offsets[row];
      if (n == 0) continue;
      const Element* x = base + offsets[row] * stride;
      const int64_t shared = h / group * head;
      worker({.n = n,
              .head = head,
              .queries = x + h * head,
              .keys = x + keys + shared,
              .values = x + values + shared,
              .stride = stride,
              .angles = angles_base == nullptr ? nullptr : angles_base + offsets[row] * head,
              .bias = bias_base == nullptr ? nullptr : bias_base + (per_head ? h * begins.back() : 0) + begins[row],
              .out = out_base + offsets[row] * width + h * head,
              .width = width,
              .has_new_keys = pair == begin || h % group == 0});
    }
  });
  return out;
}

}  // namespace merge::ops
