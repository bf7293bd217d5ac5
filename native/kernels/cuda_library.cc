// The library is opened by its path, so no other of that name can come in between.
#include "kernels/cuda_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace merge::kernels {
namespace {

constexpr const char* kFile = "libmerge_cuda.so";

// The folder of the binary this function is in, with a slash at its end.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) return "./";
  const std::string file = info.dli_fname;
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "./" : file.substr(0, slash + 1);
}

CudaLibrary found() {
  if (const char* wanted = std::getenv("MERGE_LM_CUDA_KERNELS")) {
    return std::string(wanted) == "off" ? CudaLibrary{nullptr, "MERGE_LM_CUDA_KERNELS is off"}
                                        : open_cuda_library(wanted);
  }
  const std::string folder = own_folder();
  for (const std::string& file : {folder + kFile, folder + "../" + kFile}) {
    if (access(file.c_str(), R_OK) == 0) return open_cuda_library(file);
  }
  return {nullptr, std::string(kFile) + " does not lie beside the engine: it was built without nvcc"};
}

}  // namespace

CudaLibrary open_cuda_library(const std::string& file) {
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return {nullptr, dlerror()};
  using Answer = const CudaTable* (*)();
  const auto answer = reinterpret_cast<Answer>(dlsym(handle, kCudaTableSymbol));
  if (answer == nullptr) return {nullptr, file + " has no " + kCudaTableSymbol};
  const CudaTable* table = answer();
  if (table->version != kCudaTableVersion) {
    return {nullptr, file + ": expected version " + std::to_string(kCudaTableVersion) + ", received " +
                         std::to_string(table->version)};
  }
  return {table, file};
}

const CudaLibrary& cuda_library() {
  static const CudaLibrary library = found();
  return library;
}

}  // namespace merge::kernels
