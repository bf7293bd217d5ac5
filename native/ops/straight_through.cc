// Noise and checks of the straight-through samplers.
#include "ops/straight_through.h"

#include <cmath>

#include "error.h"
#include "kernels/noise.h"
#include "ops/cuda.h"
#include "ops/upload.h"

namespace merge::ops {
namespace {

template <typename Noise>
Tensor drawn(const Offsets& offsets, const Random& random, at::Device device, kernels::Noise kind, const Noise& noise) {
  if (has_cuda_kernels(device)) {
    Tensor noise_N = at::empty({offsets.back()}, at::TensorOptions(device).dtype(at::kDouble));
    const Tensor rows = upload(offsets, device);
    launch(cuda_table().noise, noise_N, kind, random, noise_N.mutable_data_ptr<double>(), packed_rows(rows));
    return noise_N;
  }
  Tensor noise_N = at::empty({offsets.back()}, at::kDouble);
  double* out = noise_N.mutable_data_ptr<double>();
  const int64_t rows = static_cast<int64_t>(offsets.size()) - 1;
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t i = offsets[r]; i < offsets[r + 1]; ++i) out[i] = noise(random.uniform(r, i - offsets[r]));
    }
  });
  return noise_N.to(device);
}

void refuse_where(const char* name, const Tensor& values_N, const Tensor& bad_N) {
  // sync: what is no number must not become a sample.
  if (!bad_N.any().item<bool>()) return;
  const int64_t where = bad_N.nonzero()[0][0].item<int64_t>();
  const double value = values_N[where].item<double>();
  throw Error("ERR_NONFINITE", std::string(name) + "[" + std::to_string(where) +
                                   "]: expected a finite number, received " +
                                   (std::isnan(value) ? "NaN"
                                    : value > 0       ? "infinity"
                                                      : "-infinity"));
}

}  // namespace

Tensor logistic_noise(const Offsets& offsets, const Random& random, at::Device device) {
  return drawn(offsets, random, device, kernels::Noise::kLogistic, kernels::logistic_noise);
}

Tensor gumbel_noise(const Offsets& offsets, const Random& random, at::Device device) {
  return drawn(offsets, random, device, kernels::Noise::kGumbel, kernels::gumbel_noise);
}

void check_temperature(const char* name, double temperature) {
  if (temperature > 0 && std::isfinite(temperature)) return;
  throw Error("ERR_CONFIG", std::string(name) + " temperature: expected a number above 0, received " +
                                (std::isnan(temperature) ? "NaN" : std::to_string(temperature)));
}

void check_rows(const char* name, const Tensor& values_N, const Offsets& offsets) {
  bool fits = values_N.dim() == 1 && !offsets.empty() && offsets.front() == 0 && offsets.back() == values_N.numel();
  for (size_t r = 0; fits && r + 1 < offsets.size(); ++r) fits = offsets[r] <= offsets[r + 1];
  if (fits) return;
  throw Error("ERR_SHAPE", std::string(name) + ": expected rows from 0 to " + std::to_string(values_N.numel()) +
                               " that never fall, received others");
}

void check_finite(const char* name, const Tensor& values_N) {
  refuse_where(name, values_N, values_N.isfinite().logical_not());
}

void check_draw(const char* name, const Draw& draw) {
  check_temperature(name, draw.temperature);
  check_rows(name, draw.scores_G, draw.offsets);
  const std::string op = name;
  if (draw.noise_G.sizes() != draw.scores_G.sizes() || draw.k_B.size() + 1 != draw.offsets.size()) {
    throw Error("ERR_SHAPE", op + ": expected one number of noise for each score and one k for each row, received " +
                                 std::to_string(draw.noise_G.numel()) + " and " + std::to_string(draw.k_B.size()));
  }
  for (size_t r = 0; r < draw.k_B.size(); ++r) {
    if (draw.k_B[r] >= 0) continue;
    throw Error("ERR_CONFIG",
                op + " k[" + std::to_string(r) + "]: expected 0 or more, received " + std::to_string(draw.k_B[r]));
  }
  refuse_where((op + " scores").c_str(), draw.scores_G, draw.scores_G.isnan().logical_or(draw.scores_G.isposinf()));
}

Tensor full_width(const Tensor& values) { return values.scalar_type() == at::kDouble ? values : values.to(at::kFloat); }

StraightThrough straight_through(const Tensor& hard, const Tensor& relaxed) {
  return {hard + (relaxed - relaxed.detach()), relaxed};
}

}  // namespace merge::ops
