// Norm: root mean square (LLaMA) or layer normalisation (BERT), with or without a bias.
#pragma once

#include <string>

#include "nn/parameters.h"

namespace merge::nn {

enum class NormKind { kRms, kLayer };

struct NormOptions {
  NormKind kind;
  int64_t width;
  double epsilon;
  bool bias;
};

class Norm {
 public:
  Norm() = default;  // leaves its input as it is
  Norm(Parameters& parameters, const std::string& name, const NormOptions& options);

  // x [T, D] -> [T, D].
  Tensor forward(const Tensor& x_TD) const;

 private:
  NormOptions options_{};
  Tensor weight_, bias_;
};

}  // namespace merge::nn
