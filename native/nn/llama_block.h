// llama_block: a LLaMA block as a configuration record gives it.
#pragma once

#include "nn/block.h"
#include "record.h"

namespace merge::nn {

// Reads width, heads, keyHeads, feedForward, layers and normEpsilon.
BlockOptions llama_block(const Record& config);

}  // namespace merge::nn
