// Carry: which deleted tokens each mask remembers (spec H30).
#pragma once

#include "merge/edit.h"

namespace merge {

// Those dropped in the mask's gap, shared evenly among the gap's masks in order.
struct Carried {
  std::vector<int64_t> tokens, masks;  // one entry per (token, mask)
  std::vector<int64_t> counts;         // [M]
};

Carried carried_tokens(const Rows& x, const Skeleton& skeleton, const Masked& masked);

}  // namespace merge
