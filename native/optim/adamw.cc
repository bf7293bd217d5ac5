// AdamW: one fused call per parameter group.
#include "optim/adamw.h"

#include <ATen/core/grad_mode.h>

namespace merge {

void AdamW::allocate(const nn::Parameters& parameters) {
  if (!first_.empty()) return;
  for (const auto& group : parameters.groups()) {
    first_.push_back(at::zeros_like(group.values));
    second_.push_back(at::zeros_like(group.values));
    steps_.push_back(at::zeros({}, group.values.options().dtype(at::kFloat)));
  }
}

void AdamW::step(nn::Parameters& parameters, const AdamWOptions& options) {
  at::NoGradGuard no_grad;
  allocate(parameters);
  for (size_t g = 0; g < parameters.groups().size(); ++g) {
    const auto& group = parameters.groups()[g];
    steps_[g].add_(1);  // the fused kernel expects the count of this step, from 1
    at::_fused_adamw_({group.values}, {group.gradients}, {first_[g]}, {second_[g]}, {}, {steps_[g]},
                      group.second ? options.second_learning_rate : options.learning_rate, options.beta1, options.beta2,
                      group.decayed ? options.weight_decay : 0.0, options.epsilon, /*amsgrad=*/false,
                      /*maximize=*/false);
  }
}

std::vector<nn::Parameters::Entry> AdamW::entries(const nn::Parameters& parameters) {
  allocate(parameters);
  std::vector<nn::Parameters::Entry> entries;
  for (size_t g = 0; g < first_.size(); ++g) {
    const auto& group = parameters.groups()[g];
    const std::string name = std::string(group.second ? "second." : "") + (group.decayed ? "decayed" : "plain");
    entries.push_back({name + ".first", first_[g]});
    entries.push_back({name + ".second", second_[g]});
    entries.push_back({name + ".step", steps_[g]});
  }
  return entries;
}

int64_t AdamW::bytes() const {
  int64_t total = 0;
  for (size_t g = 0; g < first_.size(); ++g) total += static_cast<int64_t>(first_[g].nbytes() + second_[g].nbytes());
  return total;
}

}  // namespace merge
