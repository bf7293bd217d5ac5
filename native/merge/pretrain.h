// The pretraining step: masked-token prediction of E and H (H23); gate, deleter and inserter have no part in it.
#pragma once

#include <atomic>

#include "engine.h"
#include "merge/model.h"
#include "random.h"

namespace merge {

// In each row a share of the tokens, drawn uniformly between `low` and `high`, stands as a mask; at least one where the
// row has any.
struct MaskedRows {
  Rows rows;
  std::vector<int64_t> places;   // [M] packed index of each mask among the tokens
  std::vector<int64_t> targets;  // [M] what stood there
};
MaskedRows masked_rows(const Rows& y, int32_t mask, double low, double high, const Random& random);

// As run_rounds, of the batch's targets alone; the loss is L_recon at the masks.
Record run_pretraining(Model& model, const Record& step, const TrainBatch& batch, bool learn,
                       const std::atomic<bool>& cancelled);

}  // namespace merge
