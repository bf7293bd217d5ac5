// The encoder's options from the words and numbers of a configuration record.
#pragma once

#include "nn/encoder.h"
#include "record.h"

namespace merge::nn {

// Throws ERR_CONFIG for a field that is missing, out of its range or at odds with another.
EncoderOptions encoder_options(const Record& config);

}  // namespace merge::nn
