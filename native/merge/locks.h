// Locks: what of X an edit must leave as it is, carried over to the rows it becomes.
#pragma once

#include "engine.h"
#include "merge/edit.h"

namespace merge {

// Which packed gaps of S may (1) or must (2) take masks: what the gaps of X say that each took in.
std::vector<uint8_t> open_gaps(const Rows& x, const Skeleton& skeleton, const std::vector<uint8_t>& open_G);

// A shift (the token that changes the one behind it) whose letter was deleted must not fall on a locked token behind
// it: it goes with its letter.
void drop_loose_shifts(const RoundInput& input, int64_t shift, std::vector<uint8_t>& keep_N);

// Which masks stand directly before a locked token: numbers of masks, from 0.
std::vector<int64_t> masks_before_locked(const RoundInput& input, const Masked& masked);

}  // namespace merge
