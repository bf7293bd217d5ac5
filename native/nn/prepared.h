// Prepared: the matrices of a model that is only run, in the type and the order that its products want; made at the
// first product and kept until a weight changes. Without it every bfloat16 product would narrow its float32 matrix
// anew.
#pragma once

#include <unordered_map>

#include "ops/tensor.h"

namespace merge::nn {

class Prepared {
 public:
  // x weight^T + bias + residual; bias and residual may be undefined. Undefined where there is nothing to prepare: the
  // matrix has x's type.
  Tensor product(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual);
  // After every change of a weight.
  void clear() { matrices_.clear(); }
  int64_t bytes() const;

  // What this thread's products use; null while something learns.
  static Prepared*& current();

 private:
  struct Matrix {
    Tensor values;
    bool packed;  // by oneDNN, which alone reads it
  };
  const Matrix& matrix(const Tensor& weight, at::ScalarType dtype);

  std::unordered_map<const void*, Matrix> matrices_;  // by the weight's first element
};

// Products use `prepared` as long as this lives.
class UsePrepared {
 public:
  explicit UsePrepared(Prepared& prepared) : before_(Prepared::current()) { Prepared::current() = &prepared; }
  ~UsePrepared() { Prepared::current() = before_; }
  UsePrepared(const UsePrepared&) = delete;
  UsePrepared& operator=(const UsePrepared&) = delete;

 private:
  Prepared* before_;
};

}  // namespace merge::nn
