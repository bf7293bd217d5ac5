// Carry: one pass over the masks, gap by gap.
#include "merge/carry.h"

#include <algorithm>

namespace merge {

Carried carried_tokens(const Rows& x, const Skeleton& skeleton, const Masked& masked) {
  const auto spans = dropped_spans(x, skeleton);
  const size_t masks = masked.masks.size();
  Carried carried;
  for (size_t first = 0; first < masks;) {
    size_t last = first;
    while (last < masks && masked.gaps[last] == masked.gaps[first]) ++last;
    // A mask that stood in X already (gap -1) has nothing dropped beside it.
    const auto [begin, end] = masked.gaps[first] < 0 ? std::pair<int64_t, int64_t>{0, 0} : spans[masked.gaps[first]];
    const int64_t dropped = end - begin, run = static_cast<int64_t>(last - first);
    for (int64_t k = 0; k < run; ++k) {
      const int64_t from = begin + k * dropped / run;
      const int64_t until = std::min(end, std::max(from + 1, begin + (k + 1) * dropped / run));
      for (int64_t t = from; t < until; ++t) {
        carried.tokens.push_back(x.tokens[t]);
        carried.masks.push_back(static_cast<int64_t>(first) + k);
      }
      carried.counts.push_back(until - from);
    }
    first = last;
  }
  return carried;
}

}  // namespace merge
