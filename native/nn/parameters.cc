// Parameters: registration, seeded initialisation, flat buffers.
#include "nn/parameters.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "random.h"

namespace merge::nn {
namespace {

// FNV-1a: the same for a name on every machine, unlike std::hash.
uint64_t name_hash(const std::string& name) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211ULL;
  return hash;
}

}  // namespace

Tensor Parameters::drawn(const std::string& name, at::IntArrayRef shape, const Init& init) const {
  Tensor tensor = at::full(shape, init.value, at::kFloat);
  if (init.deviation > 0) {
    // Box-Muller on counters: the same numbers on every machine and in every order of construction.
    const Random random(static_cast<uint64_t>(seed_), name_hash(name), 0, Purpose::kInit);
    float* values = tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      const double radius = std::sqrt(-2.0 * std::log(random.uniform(2 * i)));
      const double angle = 2.0 * std::numbers::pi * random.uniform(2 * i + 1);
      values[i] = static_cast<float>(init.value + init.deviation * radius * std::cos(angle));
    }
  }
  return tensor;
}

Tensor Parameters::add(const std::string& name, at::IntArrayRef shape, Init init) {
  // A blank tensor has its shape, and one number for all of its elements.
  Tensor tensor = start_ == Start::kBlank ? at::zeros({}, at::kFloat).expand(shape) : drawn(name, shape, init);
  tensor.requires_grad_(true);
  entries_.push_back({name, tensor, init});
  return tensor;
}

void Parameters::freeze(const std::function<bool(const std::string& name)>& chosen) {
  for (auto& entry : entries_) {
    if (!chosen(entry.name)) continue;
    entry.frozen = true;
    entry.tensor.requires_grad_(false);
  }
}

bool Parameters::is_of(const Entry& entry, const Group& group) const {
  return !entry.frozen && (entry.tensor.dim() > 1) == group.decayed &&
         (!second_.empty() && entry.name.starts_with(second_)) == group.second;
}

Tensor Parameters::laid_out(const at::TensorOptions& options, const std::function<bool(const Entry&)>& belongs) {
  int64_t total = 0;
  for (const auto& entry : entries_) total += belongs(entry) ? entry.tensor.numel() : 0;
  const Tensor values = at::empty({total}, options);
  int64_t begin = 0;
  for (auto& entry : entries_) {
    if (!belongs(entry)) continue;
    const int64_t size = entry.tensor.numel();
    const Tensor view = values.narrow(0, begin, size).view(entry.tensor.sizes());
    view.copy_(entry.tensor);
    entry.tensor.set_data(view);
    begin += size;
  }
  return values;
}

void Parameters::flatten(at::ScalarType dtype, at::Device device, const std::string& second) {
  at::NoGradGuard no_grad;
  second_ = second;
  const at::TensorOptions narrow = at::TensorOptions().dtype(dtype).device(device);
  const at::TensorOptions wide = narrow.dtype(dtype == at::kDouble ? at::kDouble : at::kFloat);
  const bool any_frozen = std::any_of(entries_.begin(), entries_.end(), [](const auto& entry) { return entry.frozen; });
  if (any_frozen) {
    for (const bool is_matrix : {true, false}) {
      frozen_.push_back(laid_out(is_matrix ? narrow : wide, [&](const Entry& entry) {
        return entry.frozen && (entry.tensor.dim() > 1) == is_matrix;
      }));
    }
  }
  for (const bool is_second : {false, true}) {
    if (is_second && second.empty()) continue;
    for (const bool decayed : {true, false}) {
      Group group{Tensor(), Tensor(), decayed, is_second};
      const auto belongs = [&](const Entry& entry) { return is_of(entry, group); };
      // Beside frozen tensors a group may have no members.
      if (any_frozen && std::none_of(entries_.begin(), entries_.end(), belongs)) continue;
      group.values = laid_out(decayed && !any_frozen ? narrow : wide, belongs);
      groups_.push_back(group);
    }
  }
}

int64_t Parameters::bytes() const {
  size_t total = 0;
  for (const auto& group : groups_) total += group.values.nbytes();
  for (const auto& values : frozen_) total += values.nbytes();
  return static_cast<int64_t>(total);
}

void Parameters::draw(const Entry& entry) const {
  at::NoGradGuard no_grad;
  entry.tensor.detach().copy_(drawn(entry.name, entry.tensor.sizes(), entry.init));
}

void Parameters::zero_gradients() {
  for (auto& group : groups_) {
    if (group.gradients.defined()) {
      group.gradients.zero_();
      continue;
    }
    group.gradients = at::zeros_like(group.values);
    int64_t begin = 0;
    for (auto& entry : entries_) {
      if (!is_of(entry, group)) continue;
      entry.tensor.mutable_grad() = group.gradients.narrow(0, begin, entry.tensor.numel()).view(entry.tensor.sizes());
      begin += entry.tensor.numel();
    }
  }
}

Tensor Parameters::gradient_norm() const {
  Tensor total;
  for (const auto& group : groups_) {
    const Tensor square = at::dot(group.gradients, group.gradients);
    total = total.defined() ? total + square : square;
  }
  return total.sqrt();
}

void Parameters::scale_gradients(double factor) {
  for (auto& group : groups_) group.gradients.mul_(factor);
}

}  // namespace merge::nn
