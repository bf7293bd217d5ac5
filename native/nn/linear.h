// Linear: a projection by a matrix, with or without a bias.
#pragma once

#include <string>

#include "nn/lora.h"
#include "nn/parameters.h"
#include "nn/product.h"

namespace merge::nn {

struct LinearOptions {
  int64_t outputs, inputs;
  double deviation;
  bool bias;
  Role role = Role::kOther;
  std::vector<Projection> projections = {};  // that the outputs are, for low-rank updates
  LoraOptions lora = {};
};

class Linear {
 public:
  Linear() = default;
  Linear(Parameters& parameters, const std::string& name, const LinearOptions& options);

  // x [T, in] -> [T, out]; float32 masters are cast to x's dtype.
  Tensor forward(const Tensor& x) const;
  // residual + forward(x), in one pass.
  Tensor add_to(const Tensor& residual, const Tensor& x) const;

  const Tensor& weight() const { return weight_; }
  const Lora& lora() const { return lora_; }

 private:
  Tensor weight_, bias_;
  Lora lora_;
  Role role_ = Role::kOther;
};

}  // namespace merge::nn
