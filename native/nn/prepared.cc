// Prepared: plain copies, and on the CPU oneDNN's own order through libtorch's registered operators.
#include "nn/prepared.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>

#include "nn/product.h"
#include "ops/float_rows.h"

namespace merge::nn {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;
using Pack = Tensor(const Tensor&, std::optional<int64_t>);
using Multiply = Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view, Scalars,
                        std::optional<std::string_view>);
using MultiplyAdd = Tensor(const Tensor&, const Tensor&, const Tensor&, const std::optional<Tensor>&, std::string_view);

constexpr int64_t kRows = 1024;  // that the packed order is chosen for; others run with it, too

// libtorch's oneDNN products.
struct OneDnn {
  c10::TypedOperatorHandle<Pack> pack;
  c10::TypedOperatorHandle<Multiply> multiply;
  c10::TypedOperatorHandle<MultiplyAdd> multiply_add;

  Tensor packed(const Tensor& matrix) const { return pack.call(matrix.contiguous(), kRows); }
  Tensor product(const Tensor& x, const Tensor& packed, const std::optional<Tensor>& bias) const {
    return multiply.call(x.contiguous(), packed, bias, "none", Scalars(), std::nullopt);
  }
};

// None where libtorch has not built them, or the processor is too old for bfloat16.
std::optional<OneDnn> find_one_dnn() {
  auto& dispatcher = c10::Dispatcher::singleton();
  const auto pack = dispatcher.findSchema({"mkldnn::_reorder_linear_weight", ""});
  const auto multiply = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
  const auto multiply_add = dispatcher.findSchema({"mkldnn::_linear_pointwise", "binary"});
  if (!pack || !multiply || !multiply_add) return std::nullopt;
  const OneDnn found{pack->typed<Pack>(), multiply->typed<Multiply>(), multiply_add->typed<MultiplyAdd>()};
  const Tensor probe = at::ones({16, 16}, at::kBFloat16);
  try {
    found.product(probe, found.packed(probe), std::nullopt);
  } catch (const c10::Error&) {
    return std::nullopt;
  }
  return found;
}

const std::optional<OneDnn>& one_dnn() {
  static const std::optional<OneDnn> found = find_one_dnn();
  return found;
}

}  // namespace

Prepared*& Prepared::current() {
  thread_local Prepared* current = nullptr;
  return current;
}

const Prepared::Matrix& Prepared::matrix(const Tensor& weight, at::ScalarType dtype, bool in_bytes) {
  const auto found = matrices_.find(weight.const_data_ptr());
  if (found != matrices_.end()) return found->second;
  Matrix made{};
  if (in_bytes) {
    made.bytes = ByteMatrix(weight);
    return matrices_.emplace(weight.const_data_ptr(), made).first->second;
  }
  made.values = weight.detach().to(dtype);
  if (weight.device().is_cpu() && dtype == at::kBFloat16 && one_dnn()) {
    made = {one_dnn()->packed(made.values), true, {}};
  }
  return matrices_.emplace(weight.const_data_ptr(), made).first->second;
}

Tensor Prepared::product(const Tensor& x, const Tensor& weight, Role role, const Tensor& bias, const Tensor& residual) {
  if (x.dim() != 2 || x.size(0) == 0) return {};
  const bool in_bytes = in_bytes_ && role == Role::kBlock && ops::has_cpu_rows(x);
  if (!in_bytes && weight.scalar_type() == x.scalar_type()) return {};
  const Matrix& matrix = this->matrix(weight, x.scalar_type(), in_bytes);
  if (in_bytes) return matrix.bytes.product(x, bias, residual);
  if (!matrix.packed) return plain_product(x, matrix.values, bias, residual);
  const std::optional<Tensor> added = bias.defined() ? std::optional<Tensor>(bias.to(x.scalar_type())) : std::nullopt;
  if (residual.defined()) {
    return one_dnn()->multiply_add.call(x.contiguous(), residual, matrix.values, added, "add");
  }
  return one_dnn()->product(x, matrix.values, added);
}

int64_t Prepared::bytes() const {
  int64_t bytes = 0;
  for (const auto& [weight, matrix] : matrices_) {
    bytes += matrix.bytes.defined() ? matrix.bytes.bytes()
                                    : matrix.values.numel() * static_cast<int64_t>(matrix.values.element_size());
  }
  return bytes;
}

}  // namespace merge::nn
