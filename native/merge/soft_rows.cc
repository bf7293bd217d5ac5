// SoftRows: X and S^ merged in one pass.
#include "merge/soft_rows.h"

namespace merge {

SoftRows soft_rows(const Rows& x, const Masked& masked, int32_t mask) {
  SoftRows soft;
  const auto put = [&](int32_t token, int64_t source, uint8_t solid) {
    soft.rows.tokens.push_back(token);
    soft.source.push_back(source);
    soft.solid.push_back(solid);
  };
  for (int64_t r = 0; r < x.count(); ++r) {
    int32_t t = x.offsets[r];
    const auto put_dropped = [&](int32_t until) {
      for (; t < until; ++t) put(x.tokens[t], t, 0);
    };
    for (int32_t place = masked.rows.offsets[r]; place < masked.rows.offsets[r + 1]; ++place) {
      if (masked.source[place] < 0) {
        put(mask, -1, 1);
        continue;
      }
      put_dropped(x.offsets[r] + masked.source[place]);
      put(x.tokens[t], t, 1);
      ++t;
    }
    put_dropped(x.offsets[r + 1]);
    soft.rows.offsets.push_back(static_cast<int32_t>(soft.rows.tokens.size()));
  }
  return soft;
}

}  // namespace merge
