// What every torch source of the engine includes: tensors and autograd, without torch::nn (a third of the compile
// time). Shape suffixes: B rows, N tokens, T positions (tokens and sentinels of all rows, packed), G gaps, D width, H
// heads, K head width, F feed-forward width, V vocabulary, M masks.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <vector>

namespace merge {

using at::Tensor;

// Row r of a packed [T, ...] tensor is positions offsets[r] .. offsets[r + 1].
using Offsets = std::vector<int64_t>;

// True where the CPU kernels apply; everything else takes the reference path of its op.
inline bool has_cpu_kernel(const Tensor& x) { return x.device().is_cpu() && x.scalar_type() == at::kFloat; }

// True where a gradient of x will be asked for; an undefined x has none.
inline bool learns(const Tensor& x) { return at::GradMode::is_enabled() && x.defined() && x.requires_grad(); }

}  // namespace merge
