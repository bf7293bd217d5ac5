// Training of the mask-predict baseline: the tokens behind masks, and the length of the target.
#pragma once

#include <atomic>

#include "baselines/maskgit.h"

namespace merge::baselines {

// The batch has been checked: conditions are sources between their markers, drafts are the targets with masks.
Record run_maskgit(const MaskGit& model, const Record& step, const TrainBatch& batch, bool learn,
                   const std::atomic<bool>& cancelled);

}  // namespace merge::baselines
