// CUDA kernels as ops call them: on the current stream of a tensor's device. Without the library of kernels, and in
// float64, ops take their reference path, which runs on any device.
#pragma once

#include <c10/core/DeviceGuard.h>

#include "kernels/cuda_table.h"
#include "ops/tensor.h"

namespace merge::ops {

// True where the device is a GPU and the library of kernels is there.
bool has_cuda_kernels(at::Device device);
// The same, and x, which lies there, is float32 or bfloat16.
bool has_cuda_kernel(const Tensor& x);
// The same for what exists in float32 alone.
bool has_float_cuda_kernel(const Tensor& x);

const kernels::CudaTable& cuda_table();
kernels::Launch launch_on(const Tensor& x);
// ERR_DEVICE unless `code` is 0.
void check_launch(int code);

// kernel(stream and dtype of x, arguments), on x's device.
template <typename Kernel, typename... Arguments>
void launch(Kernel kernel, const Tensor& x, Arguments... arguments) {
  const c10::DeviceGuard guard(x.device());
  check_launch(kernel(launch_on(x), arguments...));
}

// Rows for a kernel; `offsets` must live as long as the launch, its memory is given back in the order of the stream.
inline kernels::PackedRows packed_rows(const Tensor& offsets) {
  return {offsets.const_data_ptr<int64_t>(), offsets.numel() - 1};
}

}  // namespace merge::ops
