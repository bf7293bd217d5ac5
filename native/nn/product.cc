// Products: with prepared matrices where nothing learns, else with the masters.
#include "nn/product.h"

namespace merge::nn {
namespace {

Tensor prepared_product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual, Role role) {
  Prepared* prepared = Prepared::current();
  return prepared == nullptr ? Tensor() : prepared->product(x, weight, role, bias, residual);
}

Tensor cast(const Tensor& bias, const Tensor& x) { return bias.defined() ? bias.to(x.scalar_type()) : bias; }

}  // namespace

Tensor project(const Tensor& x, const Tensor& weight, const Tensor& bias, Role role) {
  const Tensor product = prepared_product(x, weight, bias, {}, role);
  return product.defined() ? product : at::linear(x, weight.to(x.scalar_type()), cast(bias, x));
}

Tensor add_projected(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias, Role role) {
  const Tensor product = prepared_product(x, weight, bias, residual, role);
  if (product.defined()) return product;
  const Tensor sum = at::addmm(residual, x, weight.to(x.scalar_type()).t());
  return bias.defined() ? sum + cast(bias, x) : sum;
}

}  // namespace merge::nn
