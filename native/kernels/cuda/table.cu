// The table that the engine asks for by name.
#include <cuda_runtime.h>

#include "kernels/cuda/launchers.h"

namespace merge::kernels {
namespace {

const char* error_text(int code) { return cudaGetErrorString(static_cast<cudaError_t>(code)); }

constexpr CudaTable kTable{
    .version = kCudaTableVersion,
    .error_text = error_text,
    .rms_norm_forward = launch_rms_norm_forward,
    .rms_norm_backward = launch_rms_norm_backward,
    .swiglu_forward = launch_swiglu_forward,
    .swiglu_backward = launch_swiglu_backward,
    .rope_rotate = launch_rope_rotate,
    .row_mix = launch_row_mix,
    .row_mix_weight_gradient = launch_row_mix_weight_gradient,
    .row_mean_max = launch_row_mean_max,
    .row_mean_max_backward = launch_row_mean_max_backward,
    .noise = launch_noise,
    .bernoulli_forward = launch_bernoulli_forward,
    .pointer_forward = launch_pointer_forward,
    .pointer_backward = launch_pointer_backward,
    .largest_remainder = launch_largest_remainder,
    .drop = launch_drop,
    .insert = launch_insert,
    .distance = launch_distance,
    .align = launch_align,
};

}  // namespace
}  // namespace merge::kernels

extern "C" __attribute__((visibility("default"))) const merge::kernels::CudaTable* merge_cuda_table() {
  return &merge::kernels::kTable;
}
