// SwiGLU, RoPE and the straight-through coin: a thread for each element or pair.
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/team/elements.h"

namespace merge::kernels {
namespace {

// body(i) for each i below count, in grid-stride loops.
template <typename Body>
__global__ void each_kernel(int64_t count, Body body) {
  const int64_t stride = int64_t{gridDim.x} * kBlock;
  for (int64_t i = blockIdx.x * int64_t{kBlock} + threadIdx.x; i < count; i += stride) body(i);
}

template <typename Body>
int each(Launch launch, int64_t count, Body body) {
  each_kernel<<<blocks_for(count, kBlock), kBlock, 0, stream_of(launch)>>>(count, body);
  return launched();
}

template <typename Value>
int swiglu_forward(Launch launch, ConstValues gate_up, Values y, int64_t rows, int64_t width) {
  const auto* in = static_cast<const Value*>(gate_up);
  auto* out = static_cast<Value*>(y);
  return each(launch, rows * width, [=] __device__(int64_t i) { swiglu_element(in, out, i, width); });
}

template <typename Value>
int swiglu_backward(Launch launch, ConstValues grad_y, ConstValues gate_up, Values grad, int64_t rows, int64_t width) {
  const auto* g = static_cast<const Value*>(grad_y);
  const auto* in = static_cast<const Value*>(gate_up);
  auto* out = static_cast<Value*>(grad);
  return each(launch, rows * width, [=] __device__(int64_t i) { swiglu_element_backward(g, in, out, i, width); });
}

template <typename Value>
int rope_rotate(Launch launch, ConstValues x, Values y, const float* cos_sin, int64_t rows, int64_t heads,
                int64_t head_width, int64_t stride, float sign) {
  const RopeShape shape{heads, head_width, stride};
  const auto* in = static_cast<const Value*>(x);
  auto* out = static_cast<Value*>(y);
  return each(launch, rows * (stride - heads * head_width / 2),
              [=] __device__(int64_t i) { rope_place(in, out, cos_sin, i, shape, sign); });
}

}  // namespace

int launch_swiglu_forward(Launch launch, ConstValues gate_up, Values y, int64_t rows, int64_t width) {
  return is_wide(launch) ? swiglu_forward<float>(launch, gate_up, y, rows, width)
                         : swiglu_forward<Bfloat16>(launch, gate_up, y, rows, width);
}

int launch_swiglu_backward(Launch launch, ConstValues grad_y, ConstValues gate_up, Values grad, int64_t rows,
                           int64_t width) {
  return is_wide(launch) ? swiglu_backward<float>(launch, grad_y, gate_up, grad, rows, width)
                         : swiglu_backward<Bfloat16>(launch, grad_y, gate_up, grad, rows, width);
}

int launch_rope_rotate(Launch launch, ConstValues x, Values y, const float* cos_sin, int64_t rows, int64_t heads,
                       int64_t head_width, int64_t stride, float sign) {
  return is_wide(launch) ? rope_rotate<float>(launch, x, y, cos_sin, rows, heads, head_width, stride, sign)
                         : rope_rotate<Bfloat16>(launch, x, y, cos_sin, rows, heads, head_width, stride, sign);
}

int launch_bernoulli_forward(Launch launch, const float* logits, const double* noise, float* sample, float* relaxed,
                             float* slope, int64_t count, double temperature) {
  return each(launch, count, [=] __device__(int64_t i) {
    bernoulli_element(logits[i], noise[i], temperature, sample + i, relaxed + i, slope + i);
  });
}

}  // namespace merge::kernels
