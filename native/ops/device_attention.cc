// flash_attention: libtorch's flash attention over offsets (Dao 2023). padded_attention: scaled_dot_product_attention.
#include "ops/device_attention.h"

#include <cmath>

#include "ops/upload.h"

namespace merge::ops {
namespace {

constexpr int64_t kFlashStep = 8, kFlashWidest = 256;  // what head widths libtorch's flash attention knows

double scale_of(int64_t head) { return 1 / std::sqrt(static_cast<double>(head)); }

}  // namespace

bool has_flash_attention(const Tensor& qkv, Heads heads, const Tensor& bias) {
  const bool is_half = qkv.scalar_type() == at::kBFloat16 || qkv.scalar_type() == at::kHalf;
  const int64_t head = qkv.size(1) / (heads.queries + 2 * heads.keys);
  return qkv.is_cuda() && is_half && !bias.defined() && qkv.size(0) > 0 && head % kFlashStep == 0 &&
         head <= kFlashWidest;
}

Tensor flash_attention(const Tensor& qkv, const Offsets& offsets, Heads heads) {
  const int64_t all = heads.queries + 2 * heads.keys, head = qkv.size(1) / all;
  int64_t longest = 0;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) longest = std::max(longest, offsets[r + 1] - offsets[r]);
  const Tensor x = qkv.contiguous().view({qkv.size(0), all, head});
  const Tensor starts = upload(std::vector<int32_t>(offsets.begin(), offsets.end()), qkv.device());
  const auto out = at::_flash_attention_forward(x.narrow(1, 0, heads.queries), x.narrow(1, heads.queries, heads.keys),
                                                x.narrow(1, heads.queries + heads.keys, heads.keys), starts, starts,
                                                longest, longest, /*dropout_p=*/0.0,
                                                /*is_causal=*/false, /*return_debug_mask=*/false, scale_of(head));
  return std::get<0>(out).reshape({qkv.size(0), heads.queries * head});
}

Tensor padded_attention(const Tensor& qkv, const Offsets& offsets, Heads heads, const Tensor& bias) {
  const int64_t all = heads.queries + 2 * heads.keys, head = qkv.size(1) / all, group = heads.queries / heads.keys;
  // Rows without positions are no rows: nothing may be a softmax over no key.
  std::vector<int64_t> lengths;
  int64_t longest = 0;
  for (size_t r = 0; r + 1 < offsets.size(); ++r) {
    const int64_t length = offsets[r + 1] - offsets[r];
    if (length > 0) lengths.push_back(length);
    longest = std::max(longest, length);
  }
  if (lengths.empty()) return qkv.narrow(1, 0, heads.queries * head);
  const auto rows = static_cast<int64_t>(lengths.size());
  std::vector<int64_t> places;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < lengths[r]; ++i) places.push_back(r * longest + i);
  }
  const Tensor places_T = upload(places, qkv.device()), lengths_B = upload(lengths, qkv.device());

  const Tensor padded = at::zeros({rows * longest, qkv.size(1)}, qkv.options()).index_copy(0, places_T, qkv);
  const Tensor x = padded.view({rows, longest, all, head}).transpose(1, 2);
  const Tensor k = x.narrow(1, heads.queries, heads.keys).repeat_interleave(group, 1);
  const Tensor v = x.narrow(1, heads.queries + heads.keys, heads.keys).repeat_interleave(group, 1);

  const Tensor exists_BN =
      at::arange(longest, lengths_B.options()).unsqueeze(0).lt(lengths_B.unsqueeze(1));  // position within its row
  Tensor mask = at::zeros({rows, 1, 1, longest}, qkv.options().requires_grad(false))
                    .masked_fill(exists_BN.logical_not().view({rows, 1, 1, longest}), -INFINITY);
  if (bias.defined()) {
    // Scores of a row stand one after another in the bias, as the true places of its square do here.
    const Tensor pairs = (exists_BN.unsqueeze(2) & exists_BN.unsqueeze(1)).unsqueeze(0);
    const Tensor spread = at::zeros({bias.size(0), rows, longest, longest}, bias.options().requires_grad(false))
                              .masked_scatter(pairs.expand({bias.size(0), -1, -1, -1}), bias);
    mask = mask + spread.transpose(0, 1).to(qkv.scalar_type());
  }
  const Tensor out =
      at::scaled_dot_product_attention(x.narrow(1, 0, heads.queries), k, v,
                                       mask.expand({rows, mask.size(1), longest, longest}), 0.0, false, scale_of(head));
  return out.transpose(1, 2).reshape({rows * longest, heads.queries * head}).index_select(0, places_T);
}

}  // namespace merge::ops
