// The stream comes through c10's device-neutral guard, so no CUDA header is needed here.
#include "ops/cuda.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "error.h"
#include "kernels/cuda_library.h"

namespace merge::ops {

bool has_cuda_kernels(at::Device device) { return device.is_cuda() && kernels::cuda_library().table != nullptr; }

bool has_cuda_kernel(const Tensor& x) {
  return (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && has_cuda_kernels(x.device());
}

bool has_float_cuda_kernel(const Tensor& x) { return x.scalar_type() == at::kFloat && has_cuda_kernel(x); }

const kernels::CudaTable& cuda_table() {
  TORCH_INTERNAL_ASSERT(kernels::cuda_library().table != nullptr);
  return *kernels::cuda_library().table;
}

kernels::Launch launch_on(const Tensor& x) {
  const c10::impl::VirtualGuardImpl device(x.device().type());
  const auto element = x.scalar_type() == at::kBFloat16 ? kernels::Element::kBfloat16 : kernels::Element::kFloat;
  return {device.getStreamNativeHandle(device.getStream(x.device())), element};
}

void check_launch(int code) {
  if (code == 0) return;
  throw Error("ERR_DEVICE",
              std::string("CUDA kernel: expected it to start, received ") + cuda_table().error_text(code));
}

}  // namespace merge::ops
