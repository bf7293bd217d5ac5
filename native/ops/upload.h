// Numbers of the host as a tensor on a device. The copy waits for nothing: from memory that stays in its place, in the
// order of the stream; a plain copy to a GPU would first wait for all that runs there.
#pragma once

#include <algorithm>

#include "ops/tensor.h"

namespace merge::ops {

template <typename Number>
Tensor upload(const std::vector<Number>& values, at::Device device) {
  const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<Number>::value);
  Tensor host = at::empty({static_cast<int64_t>(values.size())}, options.pinned_memory(device.is_cuda()));
  std::copy(values.begin(), values.end(), host.mutable_data_ptr<Number>());
  return host.to(device, /*non_blocking=*/device.is_cuda());
}

}  // namespace merge::ops
