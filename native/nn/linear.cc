// Linear: on project and add_projected.
#include "nn/linear.h"

namespace merge::nn {

Linear::Linear(Parameters& parameters, const std::string& name, const LinearOptions& options) {
  weight_ = parameters.add(name + ".weight", {options.outputs, options.inputs}, {.deviation = options.deviation});
  if (options.bias) bias_ = parameters.add(name + ".bias", {options.outputs}, {.value = 0});
  lora_ = Lora(parameters, name, options.projections, options.inputs, options.lora);
}

Tensor Linear::forward(const Tensor& x) const {
  const Tensor product =
      bias_.defined() ? at::linear(x, weight_.to(x.scalar_type()), bias_.to(x.scalar_type())) : project(x, weight_);
  lora_.update(product, x);
  return product;
}

Tensor Linear::add_to(const Tensor& residual, const Tensor& x) const {
  const Tensor sum = add_projected(residual, x, weight_);
  lora_.update(sum, x);
  return bias_.defined() ? sum + bias_.to(x.scalar_type()) : sum;
}

}  // namespace merge::nn
