// One training step: unrolled rounds with roll-in, losses and gradients (spec sections 4 to 6).
#pragma once

#include <atomic>

#include "engine.h"
#include "merge/model.h"

namespace merge {

// Runs the batch's rounds. With `learn` the gradients of the weighted, round-averaged loss are added to the model's.
// Returns the report's numbers. Throws ERR_ABORTED between rounds once `cancelled` is raised, ERR_NONFINITE on a bad
// loss.
Record run_rounds(Model& model, const Record& step, const TrainBatch& batch, bool learn,
                  const std::atomic<bool>& cancelled);

}  // namespace merge
