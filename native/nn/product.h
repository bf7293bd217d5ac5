// Products of activations with matrices of parameters, and the number types on both sides of them.
#pragma once

#include "nn/prepared.h"
#include "ops/tensor.h"

namespace merge::nn {

// x [T, in], weight [out, in] -> x weight^T + bias [T, out]; float32 masters are cast to x's dtype.
Tensor project(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Role role = Role::kOther);
// residual + x weight^T + bias, in one pass.
Tensor add_projected(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                     Role role = Role::kOther);

// The same with a matrix of x's type; bias and residual may be undefined.
Tensor plain_product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual);

// Half-width activations in float32: heads, losses and decisions are never computed in half width.
inline Tensor widen(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

}  // namespace merge::nn
