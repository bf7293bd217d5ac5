// KvCache: buffers that double when they are full.
#include "nn/kv_cache.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace merge::nn {

Tensor KvCache::read(int64_t layer, const Tensor& qkv, const Offsets& offsets, const std::vector<int32_t>& slots,
                     ops::Heads heads, ops::Among among) const {
  const int64_t width = qkv.size(1) / (heads.queries + 2 * heads.keys) * 2 * heads.keys;
  std::vector<Tensor> past_B;
  for (const int32_t slot : slots) {
    const auto row = rows_.find(slot);
    past_B.push_back(row == rows_.end() || row->second.length == 0
                         ? at::empty({0, width}, qkv.options())
                         : row->second.layers[layer].narrow(0, 0, row->second.length));
  }
  return ops::cached_attention(qkv, offsets, heads, past_B, among);
}

Tensor KvCache::append(int64_t layer, const Tensor& qkv, const Offsets& offsets, const std::vector<int32_t>& slots,
                       ops::Heads heads, ops::Among among) {
  at::NoGradGuard no_grad;
  const int64_t width = qkv.size(1) / (heads.queries + 2 * heads.keys) * 2 * heads.keys;
  for (size_t i = 0; i < slots.size(); ++i) {
    Row& row = rows_[slots[i]];
    row.layers.resize(static_cast<size_t>(layers_));
    Tensor& buffer = row.layers[layer];
    const int64_t n = offsets[i + 1] - offsets[i], needed = row.length + n;
    if (!buffer.defined() || buffer.size(0) < needed) {
      const int64_t grown = buffer.defined() ? std::max(needed, 2 * buffer.size(0)) : needed;
      const int64_t capacity = std::max(grown, row.reserved);
      const Tensor larger = at::empty({capacity, width}, qkv.options());
      if (row.length > 0) larger.narrow(0, 0, row.length).copy_(buffer.narrow(0, 0, row.length));
      buffer = larger;
    }
    buffer.narrow(0, row.length, n).copy_(qkv.narrow(0, offsets[i], n).narrow(1, qkv.size(1) - width, width));
  }
  return read(layer, qkv, offsets, slots, heads, among);
}

void KvCache::commit(const Offsets& offsets, const std::vector<int32_t>& slots) {
  for (size_t i = 0; i < slots.size(); ++i) rows_[slots[i]].length += offsets[i + 1] - offsets[i];
}

int64_t KvCache::length(int32_t slot) const {
  const auto row = rows_.find(slot);
  return row == rows_.end() ? 0 : row->second.length;
}

int64_t KvCache::bytes() const {
  int64_t bytes = 0;
  for (const auto& [slot, row] : rows_) {
    for (const Tensor& layer : row.layers) bytes += layer.defined() ? static_cast<int64_t>(layer.nbytes()) : 0;
  }
  return bytes;
}

}  // namespace merge::nn
