// Roll-in: which states the deleter and the inserter learn from (spec section 4, H6).
#pragma once

#include "merge/edit.h"
#include "merge/model.h"
#include "merge/oracle.h"
#include "random.h"

namespace merge {

// Where the random draws of a step come from.
struct Draws {
  uint64_t seed, step, round;
  Random of(Purpose purpose) const { return Random(seed, step, round, purpose); }
};

// A random subsequence of each row of Y, keep rate uniform in (0, 1).
Rows random_subsequence(const Rows& y, const Random& random);

// S of a row, and what the oracle inserts into it.
struct Insertion {
  Masked masked;
  std::vector<int32_t> counts_G;   // labels, at most max_insert
  std::vector<int64_t> targets_M;  // the oracle's token of each mask
};

// The oracle's masks for each row of a skeleton; a gap that lacks more than max_insert tokens gets its first
// max_insert.
Insertion oracle_insertion(const Skeleton& skeleton, const Rows& y, int32_t mask, int64_t max_insert);

// The masks replaced by tokens.
Rows filled(const Masked& masked, const Tensor& tokens_M);

// Rows of X in which each chosen row (share of all) is replaced by the model's own argmax fill of a random subsequence
// of Y.
Rows own_fill(const Model& model, const Rows& x, const Rows& y, const Rows& conditions, double share,
              const Draws& draws);

}  // namespace merge
