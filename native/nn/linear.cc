// Linear: on project and add_projected.
#include "nn/linear.h"

namespace merge::nn {

Linear::Linear(Parameters& parameters, const std::string& name, const LinearOptions& options) : role_(options.role) {
  weight_ = parameters.add(name + ".weight", {options.outputs, options.inputs}, {.deviation = options.deviation});
  if (options.bias) bias_ = parameters.add(name + ".bias", {options.outputs}, {.value = 0});
  lora_ = Lora(parameters, name, options.projections, options.inputs, options.lora);
}

Tensor Linear::forward(const Tensor& x) const {
  const Tensor product = project(x, weight_, bias_, role_);
  lora_.update(product, x);
  return product;
}

Tensor Linear::add_to(const Tensor& residual, const Tensor& x) const {
  const Tensor sum = add_projected(residual, x, weight_, bias_, role_);
  lora_.update(sum, x);
  return sum;
}

}  // namespace merge::nn
