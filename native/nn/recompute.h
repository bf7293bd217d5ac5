// Activation checkpointing (Chen et al. 2016): a block that keeps its input alone and runs again in the backward pass.
#pragma once

#include "nn/block.h"

namespace merge::nn {

// block.forward(x, view) with the same values and gradients; of what the block computes, nothing is kept. The block
// must live until the backward pass has run.
Tensor recomputed(const Block& block, const Tensor& x_TD, const View& view);

}  // namespace merge::nn
