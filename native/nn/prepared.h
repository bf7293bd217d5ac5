// Prepared: the matrices of a model that is only run, in the type and the order that its products want; made at the
// first product and kept until a weight changes. Without it every bfloat16 product would narrow its float32 matrix
// anew.
#pragma once

#include <unordered_map>

#include "nn/byte_matrix.h"
#include "ops/tensor.h"

namespace merge::nn {

// What a matrix is for: those of a block may be multiplied less exactly than others where the user asks for it.
enum class Role { kBlock, kOther };

class Prepared {
 public:
  // in_bytes: matrices of blocks are multiplied in 8 bits. Throws ERR_CONFIG where they cannot be.
  explicit Prepared(bool in_bytes = false) : in_bytes_(in_bytes) {
    if (in_bytes) check_byte_products();
  }

  // x weight^T + bias + residual; bias and residual may be undefined. Undefined where there is nothing to prepare: the
  // matrix has x's type.
  Tensor product(const Tensor& x, const Tensor& weight, Role role, const Tensor& bias, const Tensor& residual);
  // After every change of a weight.
  void clear() { matrices_.clear(); }
  int64_t bytes() const;

  // What this thread's products use; null while something learns.
  static Prepared*& current();

 private:
  struct Matrix {
    Tensor values;
    bool packed;  // by oneDNN, which alone reads it
    ByteMatrix bytes;
  };
  const Matrix& matrix(const Tensor& weight, at::ScalarType dtype, bool in_bytes);

  bool in_bytes_;

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
