// Placement: read from the words of a configuration record.
#include "nn/placement.h"

#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "checks.h"

namespace merge::nn {
namespace {

at::ScalarType dtype_of(const std::string& word) {
  if (word == "float32") return at::kFloat;
  if (word == "bfloat16") return at::kBFloat16;
  return at::kDouble;
}

at::Device device_of(const std::string& word) {
  if (word == "cpu") return at::kCPU;
  expect_config(word.rfind("cuda", 0) == 0, "device: expected cpu or cuda:N, received " + word);
  const std::string number = word.size() > 5 && word[4] == ':' ? word.substr(5) : "";
  expect_config(!number.empty() && number.size() < 4 && number.find_first_not_of("0123456789") == std::string::npos,
                "device: expected cpu or cuda:N, received " + word);
  // libtorch_cuda, once loaded, has a guard for its devices, with or without a GPU.
  if (!c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA)) {
    throw Error("ERR_DEVICE", "device: expected a CUDA build of libtorch for " + word + ", received a CPU build");
  }
  const int64_t count = c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA)->deviceCount();
  if (std::stoll(number) >= count) {
    throw Error("ERR_DEVICE", "device: expected " + word + ", this machine has " +
                                  (count == 0 ? "no CUDA device" : std::to_string(count) + " of them, from cuda:0"));
  }
  return at::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(std::stoll(number)));
}

}  // namespace

Placement::Placement(const Record& config)
    : dtype(dtype_of(one_of(config, "dtype", {"float32", "bfloat16", "float64"}))),
      device(device_of(config.word("device"))),
      half_products(one_of(config, "matmulPrecision", {"highest", "medium", "int8"}) == "medium"),
      byte_products(config.word("matmulPrecision") == "int8") {
  expect_config(!byte_products || device.is_cpu(),
                "matmulPrecision: expected highest or medium on a GPU, received int8");
}

}  // namespace merge::nn
