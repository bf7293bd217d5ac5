// libmerge_cuda.so: found beside the engine, opened when first asked for and never closed.
#pragma once

#include <string>

#include "kernels/cuda_table.h"

namespace merge::kernels {

struct CudaLibrary {
  const CudaTable* table = nullptr;  // null: there are no kernels
  std::string where;                 // the file, or why there are none
};

// Looks into MERGE_LM_CUDA_KERNELS (a file, or "off"), else beside the binary that holds the engine and one folder up.
const CudaLibrary& cuda_library();
// The same for one file, without remembering it.
CudaLibrary open_cuda_library(const std::string& file);

}  // namespace merge::kernels
