// Training of the autoregressive baseline: the cross-entropy of the next token.
#pragma once

#include <atomic>

#include "baselines/gpt.h"
#include "engine.h"

namespace merge::baselines {

// The batch has been checked: drafts are the last tokens of targets, at least one, never all.
Record run_gpt(const Gpt& model, const Record& step, const TrainBatch& batch, bool learn,
               const std::atomic<bool>& cancelled);

}  // namespace merge::baselines
