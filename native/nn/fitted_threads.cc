// FittedThreads: what a model's mean matrix costs stands for all of its work.
//
// The figures are those of a server core with AVX-512 and AMX. Waking the threads of a pass costs about a millisecond a
// block on a machine that idles: with two, a pass gains from blocks of more than 2.5 (docs/performance.md).
#include "nn/fitted_threads.h"

#include <ATen/Parallel.h>

#include <cmath>

namespace merge::nn {
namespace {

constexpr double kOperationsPerSecond = 150e9, kNarrowOperationsPerSecond = 900e9, kBytesPerSecond = 9e9;
// Norms, attention and the rest, for each token and the square root of a matrix's size.
constexpr double kSecondsPerRoot = 1.5e-9;
// A block has four matrices.
constexpr double kSecondsPerMatrix = 2.5e-3 / 4;

// Elements of the model's mean matrix.
double mean_matrix(const Parameters& parameters) {
  double elements = 0;
  int64_t matrices = 0;
  for (const auto& entry : parameters.entries()) {
    if (entry.tensor.dim() != 2) continue;
    elements += static_cast<double>(entry.tensor.numel());
    ++matrices;
  }
  return matrices > 0 ? elements / static_cast<double>(matrices) : 0;
}

bool is_small(const Placement& placement, const Parameters& parameters, int64_t tokens) {
  const bool is_narrow = placement.dtype == at::kBFloat16 || placement.half_products || placement.byte_products;
  const double elements = mean_matrix(parameters);
  const double operations = 2 * elements / (is_narrow ? kNarrowOperationsPerSecond : kOperationsPerSecond);
  const double read = elements * (is_narrow ? 2 : 4) / kBytesPerSecond;
  return static_cast<double>(tokens) * (operations + kSecondsPerRoot * std::sqrt(elements)) + read < kSecondsPerMatrix;
}

}  // namespace

FittedThreads::FittedThreads(const Placement& placement, const Parameters& parameters, int64_t tokens)
    : before_(at::get_num_threads()) {
  if (before_ > 1 && placement.device.is_cpu() && is_small(placement, parameters, tokens)) at::set_num_threads(1);
}

FittedThreads::~FittedThreads() {
  if (at::get_num_threads() != before_) at::set_num_threads(before_);
}

}  // namespace merge::nn
