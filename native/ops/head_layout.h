// Where the heads of queries, keys and values lie in a [T, (H + 2G) K] row.
#pragma once

#include "ops/ragged_attention.h"

namespace merge::ops {

struct HeadLayout {
  HeadLayout(int64_t row_width, Heads heads)
      : head(row_width / (heads.queries + 2 * heads.keys)),
        stride(row_width),
        width(heads.queries * head),
        keys(width),
        values(width + heads.keys * head),
        group(heads.queries / heads.keys) {}
  int64_t head, stride, width, keys, values;
  int64_t group;  // query heads that share a key head
};

}  // namespace merge::ops
