// One denoising step of RemeDi: read the blocks, propose tokens, rank all positions, keep and remask (spec section 2).
#pragma once

#include "engine.h"
#include "nn/kv_cache.h"
#include "remedi/model.h"

namespace merge::remedi {

// The rows' lengths, ids and numbers have been checked.
DenoiseOutput denoise_blocks(const Model& model, const nn::KvCache& cache, const Record& options,
                             const DenoiseInput& input);

}  // namespace merge::remedi
