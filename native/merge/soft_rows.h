// SoftRows: S^ with the deleted tokens still in it, as keys that hardly count; deletion keeps its gradient (spec H8).
#pragma once

#include "merge/edit.h"

namespace merge {

struct SoftRows {
  Rows rows;                    // kept tokens, masks and dropped tokens, in order
  std::vector<int64_t> source;  // packed index in X of each token, -1 of a mask
  std::vector<uint8_t> solid;   // 1: kept or mask; these are the tokens of S^, in its order
};

SoftRows soft_rows(const Rows& x, const Masked& masked, int32_t mask);

}  // namespace merge
