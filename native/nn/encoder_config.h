// The encoder's options from the words and numbers of a configuration record.
#pragma once

#include "nn/encoder.h"
#include "record.h"

namespace merge::nn {

// Throws ERR_CONFIG for a field that is missing, out of its range or at odds with another.
// max_positions: the longest row, as EncoderOptions has it.
EncoderOptions encoder_options(const Record& config, int64_t max_positions);

}  // namespace merge::nn
