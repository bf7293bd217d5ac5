// D1, the deleter.
#include "merge/deleter.h"

#include "nn/product.h"
#include "ops/rms_norm.h"

namespace merge {

Deleter::Deleter(nn::Parameters& parameters, const std::string& kind, const nn::BlockOptions& options)
    : epsilon_(options.norm_epsilon) {
  if (kind == "block") {
    block_ = std::make_unique<nn::Block>(parameters, "deleter.block", options);
    norm_ = parameters.add("deleter.norm.weight", {options.width}, {.value = 1});
  }
  weight_ = parameters.add("deleter.linear.weight", {1, options.width}, {.deviation = options.deviation});
  // Most tokens of a draft stay, so the deleter starts from keeping.
  bias_ = parameters.add("deleter.linear.bias", {1}, {.value = 2});
}

Tensor Deleter::forward(const Tensor& hidden_TD, const nn::View& view) const {
  const Tensor states = block_ ? ops::rms_norm(block_->forward(hidden_TD, view), norm_, epsilon_) : hidden_TD;
  return at::addmm(bias_, nn::widen(states), weight_.t()).squeeze(1);
}

}  // namespace merge
