// Placement: read from the words of a configuration record.
#include "nn/placement.h"

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
  if (!at::hasCUDA()) throw Error("ERR_DEVICE", "device: this libtorch finds no CUDA device, received " + word);
  return at::Device(word);
}

}  // namespace

Placement::Placement(const Record& config)
    : dtype(dtype_of(one_of(config, "dtype", {"float32", "bfloat16", "float64"}))),
      device(device_of(config.word("device"))),
      half_products(one_of(config, "matmulPrecision", {"highest", "medium"}) == "medium") {}

}  // namespace merge::nn
