// time_op: how long an op takes on made-up rows, its fast version and its slow reference in turns.
#pragma once

#include "operation.h"

namespace merge {

// options: op (a name of op_timing.cc), rows, length (tokens of a row), width, heads, feedForward, layers, vocabulary,
// dtype, backward, pairs. -> `fast` and `reference`: milliseconds of each pair, after one pair that warms up.
// `encoderGemms` is what the matrices of an encoder cost alone, a ceiling; `headLoss` and `headLossWhole` are the loss
// of a head by parts and at once: they have no reference, so the list is empty. ERR_CONFIG: an op that is unknown, or
// that has no backward pass. Must be called from the compute thread.
Arrays time_op(const Record& options);

}  // namespace merge
