// Drop and insert: single passes over packed rows.
#include "merge/edit.h"

namespace merge {

Skeleton drop(const Rows& x, const std::vector<uint8_t>& keep_N) {
  Skeleton skeleton;
  for (int64_t r = 0; r < x.count(); ++r) {
    for (int32_t t = x.offsets[r]; t < x.offsets[r + 1]; ++t) {
      if (!keep_N[t]) continue;
      skeleton.rows.tokens.push_back(x.tokens[t]);
      skeleton.source.push_back(t - x.offsets[r]);
    }
    skeleton.rows.offsets.push_back(static_cast<int32_t>(skeleton.rows.tokens.size()));
  }
  return skeleton;
}

Masked insert(const Skeleton& skeleton, const std::vector<int32_t>& counts_G, int32_t mask) {
  Masked masked;
  int64_t gap = 0;
  const auto put_masks = [&] {
    for (int32_t k = 0; k < counts_G[gap]; ++k) {
      masked.masks.push_back(static_cast<int64_t>(masked.rows.tokens.size()));
      masked.gaps.push_back(gap);
      masked.rows.tokens.push_back(mask);
      masked.source.push_back(-1);
    }
    ++gap;
  };
  for (int64_t r = 0; r < skeleton.rows.count(); ++r) {
    for (int32_t t = skeleton.rows.offsets[r]; t < skeleton.rows.offsets[r + 1]; ++t) {
      put_masks();
      masked.rows.tokens.push_back(skeleton.rows.tokens[t]);
      masked.source.push_back(skeleton.source[t]);
    }
    put_masks();
    masked.rows.offsets.push_back(static_cast<int32_t>(masked.rows.tokens.size()));
  }
  return masked;
}

void with_standing_masks(Masked& masked, int32_t mask) {
  std::vector<int64_t> masks, gaps;
  size_t inserted = 0;
  for (size_t t = 0; t < masked.rows.tokens.size(); ++t) {
    if (masked.rows.tokens[t] != mask) continue;
    const bool is_new = inserted < masked.masks.size() && masked.masks[inserted] == static_cast<int64_t>(t);
    masks.push_back(static_cast<int64_t>(t));
    gaps.push_back(is_new ? masked.gaps[inserted++] : -1);
  }
  masked.masks = std::move(masks);
  masked.gaps = std::move(gaps);
}

std::vector<std::pair<int64_t, int64_t>> dropped_spans(const Rows& x, const Skeleton& skeleton) {
  std::vector<std::pair<int64_t, int64_t>> spans;
  spans.reserve(skeleton.rows.tokens.size() + static_cast<size_t>(x.count()));
  for (int64_t r = 0; r < x.count(); ++r) {
    int64_t begin = x.offsets[r];
    for (int32_t t = skeleton.rows.offsets[r]; t < skeleton.rows.offsets[r + 1]; ++t) {
      const int64_t token = x.offsets[r] + skeleton.source[t];
      spans.emplace_back(begin, token);
      begin = token + 1;
    }
    spans.emplace_back(begin, x.offsets[r + 1]);
  }
  return spans;
}

}  // namespace merge
