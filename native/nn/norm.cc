// Norm: the op that its kind names.
#include "nn/norm.h"

#include "ops/rms_norm.h"

namespace merge::nn {

Norm::Norm(Parameters& parameters, const std::string& name, const NormOptions& options) : options_(options) {
  weight_ = parameters.add(name + ".weight", {options.width}, {.value = 1});
  if (options.bias) bias_ = parameters.add(name + ".bias", {options.width}, {.value = 0});
}

Tensor Norm::forward(const Tensor& x_TD) const {
  if (!weight_.defined()) return x_TD;
  const auto dtype = x_TD.scalar_type();
  if (options_.kind == NormKind::kRms) {
    const Tensor y_TD = ops::rms_norm(x_TD, weight_, options_.epsilon);
    return bias_.defined() ? y_TD + bias_.to(dtype) : y_TD;
  }
  return at::layer_norm(x_TD, weight_.sizes(), weight_.to(dtype), bias_.defined() ? bias_.to(dtype) : Tensor(),
                        options_.epsilon);
}

}  // namespace merge::nn
