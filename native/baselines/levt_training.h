// Training of the Levenshtein Transformer: imitation of the expert on the states of the dual policy.
#pragma once

#include <atomic>

#include "baselines/levt.h"
#include "engine.h"

namespace merge::baselines {

// The batch has been checked. With `learn` the gradients of the weighted loss are added to the model's. Throws
// ERR_ABORTED between micro-batches once `cancelled` is raised, ERR_NONFINITE on a bad loss.
Record run_levt(const Levt& model, const Record& step, const TrainBatch& batch, bool learn,
                const std::atomic<bool>& cancelled);

}  // namespace merge::baselines
