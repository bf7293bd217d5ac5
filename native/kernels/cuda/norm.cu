// RMS norm: a warp for each row, a thread for each column and share of the weight's gradient.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/team/norm.h"

namespace merge::kernels {
namespace {

constexpr int64_t kRowsOfBlock = kBlock / kWarp;

// x, y [rows, width], scale [rows]. Reads x twice, the second time from cache, and writes y.
template <typename Value>
__global__ void rms_norm_kernel(const Value* x, const float* weight, Value* y, float* scale, int64_t rows,
                                int64_t width, float epsilon) {
  WarpTeam team;
  for (int64_t t = blockIdx.x * kRowsOfBlock + threadIdx.x / kWarp; t < rows; t += gridDim.x * kRowsOfBlock) {
    rms_norm_row(team, x + t * width, weight, y + t * width, scale + t, width, epsilon);
  }
}

template <typename Value>
__global__ void rms_norm_backward_kernel(const Value* grad_y, const Value* x, const float* weight, const float* scale,
                                         Value* grad_x, int64_t rows, int64_t width) {
  WarpTeam team;
  for (int64_t t = blockIdx.x * kRowsOfBlock + threadIdx.x / kWarp; t < rows; t += gridDim.x * kRowsOfBlock) {
    rms_norm_row_backward(team, grad_y + t * width, x + t * width, weight, scale[t], grad_x + t * width, width);
  }
}

// shares [gridDim.y, width]: one block of columns over one share of the rows.
template <typename Value>
__global__ void rms_norm_weight_kernel(const Value* grad_y, const Value* x, const float* scale, float* shares,
                                       int64_t rows, int64_t width) {
  const int64_t column = blockIdx.x * int64_t{kBlock} + threadIdx.x, share = blockIdx.y, count = gridDim.y;
  if (column >= width) return;
  shares[share * width + column] =
      rms_norm_weight_gradient(grad_y, x, scale, Row{rows * share / count, rows * (share + 1) / count}, column, width);
}

template <typename Value>
int rms_norm_forward(Launch launch, ConstValues x, const float* weight, Values y, float* scale, int64_t rows,
                     int64_t width, float epsilon) {
  rms_norm_kernel<<<blocks_for(rows, kRowsOfBlock), kBlock, 0, stream_of(launch)>>>(
      static_cast<const Value*>(x), weight, static_cast<Value*>(y), scale, rows, width, epsilon);
  return launched();
}

template <typename Value>
int rms_norm_backward(Launch launch, ConstValues grad_y, ConstValues x, const float* weight, const float* scale,
                      Values grad_x, float* shares, int64_t share_count, int64_t rows, int64_t width) {
  const auto* g = static_cast<const Value*>(grad_y);
  const auto* in = static_cast<const Value*>(x);
  rms_norm_backward_kernel<<<blocks_for(rows, kRowsOfBlock), kBlock, 0, stream_of(launch)>>>(
      g, in, weight, scale, static_cast<Value*>(grad_x), rows, width);
  const dim3 grid(blocks_for(width, kBlock), static_cast<unsigned>(share_count));
  rms_norm_weight_kernel<<<grid, kBlock, 0, stream_of(launch)>>>(g, in, scale, shares, rows, width);
  return launched();
}

}  // namespace

int launch_rms_norm_forward(Launch launch, ConstValues x, const float* weight, Values y, float* scale, int64_t rows,
                            int64_t width, float epsilon) {
  return is_wide(launch) ? rms_norm_forward<float>(launch, x, weight, y, scale, rows, width, epsilon)
                         : rms_norm_forward<Bfloat16>(launch, x, weight, y, scale, rows, width, epsilon);
}

int launch_rms_norm_backward(Launch launch, ConstValues grad_y, ConstValues x, const float* weight, const float* scale,
                             Values grad_x, float* shares, int64_t share_count, int64_t rows, int64_t width) {
  return is_wide(launch)
             ? rms_norm_backward<float>(launch, grad_y, x, weight, scale, grad_x, shares, share_count, rows, width)
             : rms_norm_backward<Bfloat16>(launch, grad_y, x, weight, scale, grad_x, shares, share_count, rows, width);
}

}  // namespace merge::kernels
