// Drop and insert on a row by a team: where each token goes is the sum of what stands before it.
#pragma once

#include "kernels/team/team.h"

namespace merge::kernels {

// Kept tokens of a row move together: tokens and source (their index in the row) are written from `begin` on.
template <typename Team>
MERGE_KERNEL void drop_row(Team& team, const int32_t* tokens, const uint8_t* keep, int64_t length, int32_t* out,
                           int32_t* source, int64_t begin) {
  for (int64_t tile = 0; tile < length; tile += team.size()) {
    const int64_t i = tile + team.rank();
    const int64_t kept = i < length && keep[i] != 0 ? 1 : 0;
    const int64_t at = begin + team.before(kept);
    if (kept != 0) {
      out[at] = tokens[i];
      source[at] = static_cast<int32_t>(i);
    }
    begin += team.total(kept);
  }
}

// What an insertion writes: tokens with masks, the source of each token (-1: a mask), and where the masks stand.
struct Inserted {
  int32_t* tokens;
  int32_t* source;
  int64_t* masks;  // packed place of each mask
  int64_t* gaps;   // packed gap of each mask
};

// A row of `length` tokens has length + 1 gaps, counts[g] masks before token g. Tokens are written from `begin`, masks
// are the `first_mask`-th and following; `begin_gap` is the packed number of the row's first gap.
template <typename Team>
MERGE_KERNEL void insert_row(Team& team, const int32_t* tokens, const int32_t* source, const int32_t* counts,
                             int64_t length, Inserted out, int64_t begin, int64_t first_mask, int64_t begin_gap,
                             int32_t mask) {
  for (int64_t tile = 0; tile <= length; tile += team.size()) {
    const int64_t gap = tile + team.rank();
    const int64_t count = gap <= length ? counts[gap] : 0;
    const int64_t masks_before = team.before(count);
    const int64_t at = begin + gap - tile + masks_before;
    for (int64_t m = 0; m < count; ++m) {
      out.tokens[at + m] = mask;
      out.source[at + m] = -1;
      out.masks[first_mask + masks_before + m] = at + m;
      out.gaps[first_mask + masks_before + m] = begin_gap + gap;
    }
    if (gap < length) {
      out.tokens[at + count] = tokens[gap];
      out.source[at + count] = source[gap];
    }
    const int64_t masks = team.total(count);
    begin += masks + team.size();
    first_mask += masks;
  }
}

}  // namespace merge::kernels
