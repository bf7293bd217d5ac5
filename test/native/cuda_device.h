// What the CUDA tests run on: the first GPU. Without one a program says "skipped: no CUDA device" and ends with 77,
// which ctest counts as skipped. MERGE_LM_TEST_DEVICE=cpu runs them on the CPU instead, to try the tests themselves.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "check.h"
#include "kernels/cuda_library.h"

namespace merge::check {

inline bool has_gpu() {
  return c10::impl::hasDeviceGuardImpl(at::kCUDA) && c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount() > 0;
}

inline std::string device_word() {
  const char* word = std::getenv("MERGE_LM_TEST_DEVICE");
  return word == nullptr ? "cuda:0" : word;
}

inline at::Device device() { return at::Device(device_word()); }
inline bool on_gpu() { return device().is_cuda(); }
// Whether our kernels run, not libtorch's own operations in their place.
inline bool has_kernels() { return on_gpu() && kernels::cuda_library().table != nullptr; }

inline int run_on_device(int argc, char** argv) {
  if (on_gpu() && !has_gpu()) {
    std::printf("skipped: no CUDA device\n");
    return 77;
  }
  std::printf("device %s, kernels: %s\n", device_word().c_str(), kernels::cuda_library().where.c_str());
  return run(argc, argv);
}

}  // namespace merge::check
