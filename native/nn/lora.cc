// Lora: its options, its matrices, and their product.
#include "nn/lora.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <sstream>

#include "checks.h"
#include "nn/product.h"

namespace merge::nn {
namespace {

constexpr std::array<const char*, 7> kTargets{"q", "k", "v", "output", "gate", "up", "down"};

}  // namespace

LoraOptions lora_options(const Record& config) {
  check_range(config, "loraRank", 0, 65536);
  check_range(config, "loraAlpha", 0, std::numeric_limits<double>::max());
  LoraOptions options{.rank = config.integer("loraRank"), .alpha = config.number("loraAlpha"), .targets = {}};
  std::istringstream stream(config.word("loraTargets"));
  for (std::string name; std::getline(stream, name, ',');) {
    expect_config(std::find(kTargets.begin(), kTargets.end(), name) != kTargets.end(),
                  "loraTargets: expected q, k, v, output, gate, up or down, received " + name);
    options.targets.insert(name);
  }
  expect_config(options.rank == 0 || !options.targets.empty(), "loraTargets: expected at least one, received none");
  return options;
}

Lora::Lora(Parameters& parameters, const std::string& matrix, const std::vector<Projection>& projections,
           int64_t inputs, const LoraOptions& options) {
  if (options.rank == 0) return;
  scale_ = options.alpha / static_cast<double>(options.rank);
  // Unit-variance products of normalised inputs at any width.
  const double deviation = 1.0 / std::sqrt(static_cast<double>(inputs));
  int64_t begin = 0;
  for (const auto& [name, rows] : projections) {
    if (options.targets.contains(name)) {
      const std::string path = matrix + ".lora." + name;
      const Tensor a = parameters.add(path + ".a", {options.rank, inputs}, {.deviation = deviation});
      const Tensor b = parameters.add(path + ".b", {rows, options.rank}, {.value = 0});
      parameters.adapt({matrix + ".weight", begin, a, b, scale_});
      parts_.push_back({begin, a, b});
    }
    begin += rows;
  }
}

void Lora::update(const Tensor& product, const Tensor& x) const {
  for (const auto& [begin, a, b] : parts_) {
    product.narrow(1, begin, b.size(0)).add_(project(project(x, a), b), scale_);
  }
}

}  // namespace merge::nn
