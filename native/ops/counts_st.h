// counts_st: whole counts for expected ones, with a gradient (largest remainder).
#pragma once

#include "ops/straight_through.h"

namespace merge::ops {

// expected [G] from 0 to 2^24, rows of gaps. sample: the floor of each, and one more at the largest remainders of the
// row (the lowest index first among equal ones) until the row's sum is the rounded sum of what was expected, halves up.
// relaxed is `expected` itself, so the gradient is the identity.
StraightThrough counts_st(const Tensor& expected_G, const Offsets& offsets);
StraightThrough counts_st_reference(const Tensor& expected_G, const Offsets& offsets);

// The counts variant of pointer_st: expected = k_r * softmax((scores + noise) / temperature) over the gaps of row r, so
// a gap may be drawn more than once. A gap whose score is -infinity is closed; a row of closed gaps draws nothing.
StraightThrough pointer_counts_st(const Tensor& scores_G, const Tensor& noise_G, const Offsets& offsets,
                                  const std::vector<int64_t>& k_B, double temperature);

}  // namespace merge::ops
