// Placement: where a model computes and in which number types.
#pragma once

#include "ops/tensor.h"
#include "record.h"

namespace merge::nn {

struct Placement {
  at::ScalarType dtype;  // of the activations
  at::Device device;
  bool half_products;  // float32 matrices may be multiplied in bfloat16 where the processor has it
  bool byte_products;  // matrices of blocks are multiplied in 8 bits where nothing learns

  // Of the matrices: float32, or bfloat16 for a model that is only run. Vectors stay float32.
  at::ScalarType weight_dtype = at::kFloat;

  // Reads dtype, device and matmulPrecision. Throws ERR_DEVICE for a device this libtorch has not.
  explicit Placement(const Record& config);

  at::ScalarType weights() const { return dtype == at::kDouble ? at::kDouble : weight_dtype; }
};

}  // namespace merge::nn
