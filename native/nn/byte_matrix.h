// ByteMatrix: a matrix in 8 bits, each of its rows by a scale of its own, for products with rows that are rounded to 8
// bits as they come.
#pragma once

#include "ops/tensor.h"

namespace merge::nn {

class ByteMatrix {
 public:
  ByteMatrix() = default;
  // weight [out, in], float32 on the CPU. Only where check_byte_products() passes.
  explicit ByteMatrix(const Tensor& weight);

  // x [T, in], float32 or bfloat16 -> x weight^T + bias + residual [T, out]; bias and residual may be undefined.
  Tensor product(const Tensor& x, const Tensor& bias, const Tensor& residual) const;
  bool defined() const { return packed_.defined(); }
  int64_t bytes() const { return outputs_ * (inputs_ + 4); }

 private:
  int64_t outputs_ = 0, inputs_ = 0;
  Tensor packed_, scales_, zeros_;
};

// Throws ERR_CONFIG where this libtorch or this processor has no products of bytes.
void check_byte_products();

}  // namespace merge::nn
