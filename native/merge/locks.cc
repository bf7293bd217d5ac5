// Locks: single passes over packed rows.
#include "merge/locks.h"

#include <algorithm>

namespace merge {

std::vector<uint8_t> open_gaps(const Rows& x, const Skeleton& skeleton, const std::vector<uint8_t>& open_G) {
  std::vector<uint8_t> open;
  for (int64_t r = 0; r < x.count(); ++r) {
    int64_t gap = x.offsets[r] + r;  // packed gap of X before the row's first token
    const auto take_in = [&](int64_t until) {
      uint8_t any = 0;
      for (; gap <= until; ++gap) any = std::max(any, open_G[gap]);
      open.push_back(any);
    };
    for (int32_t t = skeleton.rows.offsets[r]; t < skeleton.rows.offsets[r + 1]; ++t) {
      take_in(x.offsets[r] + r + skeleton.source[t]);
    }
    take_in(x.offsets[r + 1] + r);
  }
  return open;
}

void drop_loose_shifts(const RoundInput& input, int64_t shift, std::vector<uint8_t>& keep_N) {
  const Rows& x = input.rows;
  for (int64_t r = 0; r < x.count(); ++r) {
    bool locked_behind = false;
    for (int32_t t = x.offsets[r + 1] - 1; t >= x.offsets[r]; --t) {
      if (!keep_N[t]) continue;
      if (locked_behind && x.tokens[t] == shift && !input.locked_N[t])
        keep_N[t] = 0;
      else
        locked_behind = input.locked_N[t] != 0;
    }
  }
}

std::vector<int64_t> masks_before_locked(const RoundInput& input, const Masked& masked) {
  std::vector<int64_t> before;
  int64_t row = 0;
  for (size_t m = 0; m < masked.masks.size(); ++m) {
    while (masked.masks[m] >= masked.rows.offsets[row + 1]) ++row;
    const int64_t next = masked.masks[m] + 1;
    if (next == masked.rows.offsets[row + 1] || masked.source[next] < 0) continue;
    if (input.locked_N[input.rows.offsets[row] + masked.source[next]]) before.push_back(static_cast<int64_t>(m));
  }
  return before;
}

}  // namespace merge
