// Tiny baselines for tests: 3 blocks, 2 key heads for 4 heads, 20 ids of which the first five are special.
#pragma once

#include "tiny.h"

namespace merge::tiny {

inline Record stream_config(const std::string& family, const std::string& dtype) {
  Record record;
  for (const auto& [name, value] : std::map<std::string, int64_t>{{"vocabulary", 20},
                                                                  {"width", 32},
                                                                  {"layers", 3},
                                                                  {"heads", 4},
                                                                  {"keyHeads", 2},
                                                                  {"feedForward", 24},
                                                                  {"maxLength", 64},
                                                                  {"seed", 3}}) {
    record.set(name, value);
  }
  record.set("ropeBase", 10000.0);
  record.set("normEpsilon", 1e-5);
  record.set("tiedHead", false);
  for (const auto& [name, word] : std::map<std::string, std::string>{{"family", family},
                                                                     {"start", "random"},
                                                                     {"weightDtype", "float32"},
                                                                     {"dtype", dtype},
                                                                     {"device", "cpu"},
                                                                     {"matmulPrecision", "highest"}}) {
    record.set(name, Record::Value(word));
  }
  return record;
}

// The worst relative error of the gradients that `run(true)` leaves, against central differences of its `total`, over a
// few numbers of each parameter.
template <typename Run>
double worst_gradient(nn::Parameters& parameters, const Run& run) {
  at::NoGradGuard no_grad;
  parameters.zero_gradients();
  {
    at::AutoGradMode grad(true);
    run(true);
  }
  const double step = 1e-5;
  double worst = 0;
  for (const auto& entry : parameters.entries()) {
    const Tensor gradient = entry.tensor.grad().reshape({-1});
    const Tensor values = entry.tensor.detach().view({-1});
    for (int64_t i = 0; i < values.numel(); i += std::max<int64_t>(1, values.numel() / 2)) {
      const double before = values[i].item<double>();
      const auto total = [&](double value) {
        values[i].fill_(value);
        return std::get<double>(run(false).fields().at("total"));
      };
      const double difference = (total(before + step) - total(before - step)) / (2 * step);
      values[i].fill_(before);
      const double error = std::abs(difference - gradient[i].item<double>()) / std::max(1e-3, std::abs(difference));
      worst = std::max(worst, error);
    }
  }
  return worst;
}

}  // namespace merge::tiny
