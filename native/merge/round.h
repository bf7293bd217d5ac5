// One round of refinement: gate, delete, insert, fill (spec sections 2 and 7).
#pragma once

#include "engine.h"
#include "merge/model.h"

namespace merge {

// One round of rows, without gradients. `before`, if defined, are their states from the last round's filling: E(X) is
// not computed then. `after` becomes the states of this round's filling, where there was one.
RoundOutput refine_rows(const Model& model, const Record& options, const RoundInput& input, const States& before,
                        States& after);

}  // namespace merge
