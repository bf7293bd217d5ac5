// Counts: how many masks each gap of S gets at inference, from what D2 says (spec section 2, step 3).
#pragma once

#include "merge/edit.h"
#include "merge/inserter.h"

namespace merge {

struct CountOptions {
  CountSource source;
  double length_ratio;    // literal: share of the deleted tokens that come back as masks
  int64_t target_length;  // budget: the row's length that the caller wants
  int64_t max_length;
};

struct Counts {
  std::vector<int32_t> counts_G;
  std::vector<uint8_t> truncated_B;  // 1: cut at max_length (H27)
};

// open_G, of S's packed gaps: 0 none may come, 1 some may, 2 at least one must. Rows with closed_B take none at all.
// Ties go to the lowest gap.
Counts choose_counts(const Inserter::Output& gaps, const Rows& x, const Skeleton& skeleton,
                     const std::vector<uint8_t>& open_G, const std::vector<uint8_t>& closed_B,
                     const CountOptions& options);

// Whole numbers that sum to `total` and stand closest to the shares (largest remainders, lowest index first).
std::vector<int32_t> apportion(const std::vector<double>& shares, int64_t total);

}  // namespace merge
