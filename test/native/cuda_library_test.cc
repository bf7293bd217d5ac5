// The library of CUDA kernels where there may be no GPU: it opens, its table is whole, and what cannot run says so.
#include "kernels/cuda_library.h"

#include <unistd.h>

#include <cstring>

#include "check.h"
#include "error.h"
#include "ops/cuda.h"

using namespace merge;

TEST(every_kernel_is_there) {
  const kernels::CudaTable& table = *kernels::cuda_library().table;
  CHECK(table.version == kernels::kCudaTableVersion);
  // Behind the version the table is pointers alone.
  const size_t count = (sizeof table - sizeof table.version) / sizeof(void*);
  std::vector<const void*> entries(count);
  std::memcpy(entries.data(), reinterpret_cast<const char*>(&table) + sizeof table.version, count * sizeof(void*));
  for (const void* entry : entries) CHECK(entry != nullptr);
}

TEST(a_launch_without_a_device_is_refused) {
  const kernels::CudaTable& table = *kernels::cuda_library().table;
  const int code = table.swiglu_forward({nullptr, kernels::Element::kFloat}, nullptr, nullptr, 0, 1);
  if (code == 0) return;  // a GPU is here; cuda_ops_test asks more of it
  CHECK(std::strlen(table.error_text(code)) > 0);
  try {
    ops::check_launch(code);
    CHECK(false);
  } catch (const Error& error) {
    std::printf("  %s\n", error.what());
    CHECK(error.code == "ERR_DEVICE");
    CHECK(std::string(error.what()).find(table.error_text(code)) != std::string::npos);
  }
}

TEST(other_files_are_no_library_of_kernels) {
  CHECK(kernels::open_cuda_library("/nowhere/libmerge_cuda.so").table == nullptr);
  const kernels::CudaLibrary libc = kernels::open_cuda_library("libc.so.6");
  CHECK(libc.table == nullptr && libc.where.find(kernels::kCudaTableSymbol) != std::string::npos);
}

int main(int argc, char** argv) {
  if (kernels::cuda_library().table == nullptr) {
    std::printf("skipped: %s\n", kernels::cuda_library().where.c_str());
    return 77;
  }
  return check::run(argc, argv);
}
