// AdamW: one fused call per parameter group.
#include "optim/adamw.h"

#include <ATen/core/grad_mode.h>

namespace merge {

namespace {

// The entries of a group, in the order in which they lie in its buffer.
std::vector<const nn::Parameters::Entry*> members(const nn::Parameters& parameters,
                                                  const nn::Parameters::Group& group) {
  std::vector<const nn::Parameters::Entry*> found;
  for (const auto& entry : parameters.entries()) {
    if (parameters.is_of(entry, group)) found.push_back(&entry);
  }
  return found;
}

}  // namespace

void AdamW::allocate(const nn::Parameters& parameters) {
  if (!first_.empty()) return;
  for (const auto& group : parameters.groups()) {
    first_.push_back(at::zeros_like(group.values));
    second_.push_back(at::zeros_like(group.values));
    const auto count = static_cast<int64_t>(members(parameters, group).size());
    steps_.push_back(at::zeros({count}, group.values.options().dtype(at::kFloat)));
  }
}

void AdamW::step(nn::Parameters& parameters, const AdamWOptions& options) {
  at::NoGradGuard no_grad;
  allocate(parameters);
  for (size_t g = 0; g < parameters.groups().size(); ++g) {
    const auto& group = parameters.groups()[g];
    std::vector<Tensor> values, gradients, firsts, seconds, steps;
    int64_t begin = 0, index = 0;
    for (const auto* entry : members(parameters, group)) {
      const int64_t size = entry->tensor.numel();
      if (entry->tensor.requires_grad()) {
        values.push_back(group.values.narrow(0, begin, size));
        gradients.push_back(group.gradients.narrow(0, begin, size));
        firsts.push_back(first_[g].narrow(0, begin, size));
        seconds.push_back(second_[g].narrow(0, begin, size));
        steps.push_back(steps_[g].select(0, index).add_(1));  // the fused kernel expects the count of this step, from 1
      }
      begin += size;
      ++index;
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, firsts, seconds, {}, steps,
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
