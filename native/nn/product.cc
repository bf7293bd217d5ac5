// Products: with prepared matrices where nothing learns, else with the masters.
#include "nn/product.h"

namespace merge::nn {
namespace {

Tensor prepared_product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual, Role role) {
  Prepared* prepared = Prepared::current();
  return prepared == nullptr ? Tensor() : prepared->product(x, weight, role, bias, residual);
}

Tensor product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual, Role role) {
  const Tensor prepared = prepared_product(x, weight, bias, residual, role);
  return prepared.defined() ? prepared : plain_product(x, weight.to(x.scalar_type()), bias, residual);
}

}  // namespace

Tensor plain_product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual) {
  const Tensor narrow_bias = bias.defined() ? bias.to(x.scalar_type()) : bias;
  if (!residual.defined()) return at::linear(x, weight, narrow_bias);
  const Tensor sum = at::addmm(residual, x, weight.t());
  return bias.defined() ? sum + narrow_bias : sum;
}

Tensor project(const Tensor& x, const Tensor& weight, const Tensor& bias, Role role) {
  return product(x, weight, bias, {}, role);
}

Tensor add_projected(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias, Role role) {
  return product(x, weight, bias, residual, role);
}

}  // namespace merge::nn
