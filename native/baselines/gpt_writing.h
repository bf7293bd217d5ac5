// Writing: several tokens for each row, one after another, behind what a cache remembers of it.
#pragma once

#include <atomic>

#include "baselines/gpt.h"
#include "engine.h"
#include "nn/kv_cache.h"

namespace merge::baselines {

// The rows' lengths, ids and numbers have been checked.
NextOutput write_on(const Gpt& model, nn::KvCache& cache, const Record& options, const NextInput& input,
              const std::atomic<bool>& cancelled);

}  // namespace merge::baselines
