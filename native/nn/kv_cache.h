// KvCache: keys and values of the finished positions of rows, layer by layer. Rows have lengths of their own, come and
// leave as they like, and never see each other.
#pragma once

#include <map>
#include <vector>

#include "ops/cached_attention.h"

namespace merge::nn {

class KvCache {
 public:
  explicit KvCache(int64_t layers) : layers_(layers) {}

  // Makes room for so many positions in a slot, so that none of them allocates.
  void reserve(int32_t slot, int64_t positions) { rows_[slot].reserved = positions; }

  // Attention of new positions, row i of the packed qkv to the cache of slots[i], which may be new.
  Tensor read(int64_t layer, const Tensor& qkv, const Offsets& offsets, const std::vector<int32_t>& slots,
              ops::Heads heads, ops::Among among) const;
  // The same, and their keys and values are written behind the cache. They count from commit() on: a pass that fails
  // half-way leaves the cache as it was.
  Tensor append(int64_t layer, const Tensor& qkv, const Offsets& offsets, const std::vector<int32_t>& slots,
                ops::Heads heads, ops::Among among);
  // After append() of every layer.
  void commit(const Offsets& offsets, const std::vector<int32_t>& slots);

  // Positions that a slot holds; 0 for an unknown one.
  int64_t length(int32_t slot) const;
  void drop(int32_t slot) { rows_.erase(slot); }
  bool empty() const { return rows_.empty(); }
  int64_t bytes() const;

 private:
  struct Row {
    std::vector<Tensor> layers;  // [capacity, 2G K] each, undefined at first
    int64_t length = 0;
    int64_t reserved = 0;  // the least capacity of a new buffer
  };

  int64_t layers_;
  std::map<int32_t, Row> rows_;
};

}  // namespace merge::nn
