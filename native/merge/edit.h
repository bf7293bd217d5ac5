// Drop, insert, fill: the three edits of a round, on ragged rows. Each knows where every token came from.
#pragma once

#include <cstdint>
#include <vector>

#include "rows.h"

namespace merge {

// S: the rows after deletion. source[t] is the index of token t within its row of X.
struct Skeleton {
  Rows rows;
  std::vector<int32_t> source;
};

// Keeps the tokens of X whose flag is 1; flags are packed as X's tokens are.
Skeleton drop(const Rows& x, const std::vector<uint8_t>& keep_N);

// S with masks: masks[m] is the packed index of the m-th mask in rows.tokens, gaps[m] its packed gap of S (a row of n
// tokens has n + 1 gaps). source as in Skeleton, -1 for a mask.
struct Masked {
  Rows rows;
  std::vector<int32_t> source;
  std::vector<int64_t> masks;
  std::vector<int64_t> gaps;
};

// Puts counts[g] masks into each packed gap of S.
Masked insert(const Skeleton& skeleton, const std::vector<int32_t>& counts_G, int32_t mask);

// Adds to masks (gap -1) those that already stood in S: they are filled like new ones.
void with_standing_masks(Masked& masked, int32_t mask);

// For each packed gap of S, the packed indices [begin, end) of X's tokens between the gap's neighbours: what was
// dropped there.
std::vector<std::pair<int64_t, int64_t>> dropped_spans(const Rows& x, const Skeleton& skeleton);

}  // namespace merge
