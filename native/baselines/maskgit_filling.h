// Filling: the lengths that a source asks for, and one round of mask-predict: every mask gets a token, the least sure
// become masks again.
#pragma once

#include "baselines/maskgit.h"

namespace merge::baselines {

// Both have been checked: rows, ids, slots, and a number of each name for each row.
LengthOutput measure(const MaskGit& model, nn::KvCache& cache, const Record& options, const CachedRows& sources);
DenoiseOutput fill(const MaskGit& model, const nn::KvCache& cache, const Record& options, const DenoiseInput& input);

}  // namespace merge::baselines
