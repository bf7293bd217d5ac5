// One round of refinement: gate, delete, insert, fill (spec sections 2 and 7).
#pragma once

#include "engine.h"
#include "merge/model.h"

namespace merge {

RoundOutput refine_rows(const Model& model, const Record& options, const RoundInput& input);

}  // namespace merge
