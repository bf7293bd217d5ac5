// Warps and blocks as teams, and how launchers say their grids.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda_table.h"
#include "kernels/team/team.h"

namespace merge::kernels {

// Eight blocks fill a multiprocessor, and a row of some hundred values leaves few of the threads idle.
constexpr int kBlock = 256;
constexpr int kWarp = 32;
constexpr int64_t kMostBlocks = 65535 * int64_t{16};  // grid-stride loops take the rest

// Thirty-two threads that exchange values without memory.
class WarpTeam {
 public:
  __device__ int64_t rank() const { return threadIdx.x % kWarp; }
  __device__ int64_t size() const { return kWarp; }
  __device__ void wait() const { __syncwarp(); }
  template <typename Number>
  __device__ Number sum(Number value) const {
    for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(~0u, value, step);
    return value;
  }
};

// A block; what its warps found meets in shared memory.
class BlockTeam {
 public:
  __device__ explicit BlockTeam(double* shared) : shared_(shared) {}
  __device__ int64_t rank() const { return threadIdx.x; }
  __device__ int64_t size() const { return blockDim.x; }
  __device__ void wait() const { __syncthreads(); }

  __device__ float sum(float value) const { return static_cast<float>(sum(static_cast<double>(value))); }
  __device__ double sum(double value) const {
    return met(value, [](double a, double b) { return a + b; });
  }
  __device__ double most(double value) const {
    return met(value, [](double a, double b) { return a > b ? a : b; });
  }
  // Indices are exact in double: below 2^53.
  __device__ int64_t least(int64_t value) const {
    return static_cast<int64_t>(met(static_cast<double>(value), [](double a, double b) { return a < b ? a : b; }));
  }
  __device__ int64_t total(int64_t value) const { return static_cast<int64_t>(sum(static_cast<double>(value))); }
  __device__ int64_t before(int64_t value) const {
    int64_t until = value;
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    for (int step = 1; step < kWarp; step *= 2) {
      const int64_t left = __shfl_up_sync(~0u, until, step);
      if (lane >= step) until += left;
    }
    if (lane == kWarp - 1) shared_[warp] = static_cast<double>(until);
    __syncthreads();
    int64_t warps_before = 0;
    for (int w = 0; w < warp; ++w) warps_before += static_cast<int64_t>(shared_[w]);
    __syncthreads();
    return warps_before + until - value;
  }

 private:
  template <typename Join>
  __device__ double met(double value, Join join) const {
    for (int step = kWarp / 2; step > 0; step /= 2) value = join(value, __shfl_xor_sync(~0u, value, step));
    const int lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
    if (lane == 0) shared_[threadIdx.x / kWarp] = value;
    __syncthreads();
    double all = shared_[0];
    for (int w = 1; w < warps; ++w) all = join(all, shared_[w]);
    __syncthreads();
    return all;
  }

  double* shared_;  // [kBlock / kWarp]
};

inline cudaStream_t stream_of(Launch launch) { return static_cast<cudaStream_t>(launch.stream); }

// Blocks for `count` pieces of work, `each` of them to a block; at least one, so that an empty launch is a launch.
inline unsigned blocks_for(int64_t count, int64_t each) {
  const int64_t blocks = (count + each - 1) / each;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > kMostBlocks ? kMostBlocks : blocks);
}

inline int launched() { return static_cast<int>(cudaGetLastError()); }

inline bool is_wide(Launch launch) { return launch.element == Element::kFloat; }

}  // namespace merge::kernels
