// One round of the Levenshtein Transformer: delete, insert placeholders, fill them.
#pragma once

#include "baselines/levt.h"
#include "engine.h"

namespace merge::baselines {

// Greedy, as in the paper. The rows have been checked; locked tokens stay, closed gaps take nothing. There is no gate:
// every row is edited, and its gate is 1.
RoundOutput refine_levt(const Levt& model, const Record& options, const RoundInput& input);

}  // namespace merge::baselines
