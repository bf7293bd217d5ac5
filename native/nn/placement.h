// Placement: where a model computes and in which number types.
#pragma once

#include "ops/tensor.h"
#include "record.h"

namespace merge::nn {

struct Placement {
  at::ScalarType dtype;  // of the activations; weights are float32, or float64 when this is
  at::Device device;
  bool half_products;  // float32 matrices may be multiplied in bfloat16 where the processor has it

  // Reads dtype, device and matmulPrecision. Throws ERR_DEVICE for a device this libtorch has not.
  explicit Placement(const Record& config);

  at::ScalarType weights() const { return dtype == at::kDouble ? at::kDouble : at::kFloat; }
};

}  // namespace merge::nn
