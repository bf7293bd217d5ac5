// Rotary: the angles by which queries and keys turn, of a model whose heads have one width.
#pragma once

#include "ops/tensor.h"

namespace merge::nn {

class Rotary {
 public:
  Rotary(int64_t head_width, double base) : head_width_(head_width), base_(base) {}

  // positions_T (int64, from 0) -> [T, K] of ops::rope_angles: float64 beside float64 activations, else float32.
  Tensor angles(const Tensor& positions_T, at::ScalarType activations) const;

 private:
  int64_t head_width_;
  double base_;
  // On the CPU, of the positions from 0 to the farthest so far; most passes would compute the same sines again.
  mutable Tensor table_PK_;
};

}  // namespace merge::nn
