// Rows of float32 or bfloat16 tensors for kernels: as they are, or, for kernels of float32 alone, where they lie or a
// few at a time in memory that stays in the first cache, so that half-width tensors are read and written once.
#pragma once

#include <algorithm>
#include <array>

#include "kernels/halves.h"
#include "ops/tensor.h"

namespace merge::ops {

// True where rows of x on the CPU can be given so.
inline bool has_cpu_rows(const Tensor& x) {
  return has_cpu_kernel(x) || (x.device().is_cpu() && x.scalar_type() == at::kBFloat16);
}

inline const kernels::Half* half_data(const Tensor& x) {
  return reinterpret_cast<const kernels::Half*>(x.const_data_ptr<at::BFloat16>());
}
inline kernels::Half* half_data(Tensor& x) {
  return reinterpret_cast<kernels::Half*>(x.mutable_data_ptr<at::BFloat16>());
}

// call(in, out) with the numbers of x and of y as they are, for kernels that exist for both types.
template <typename Call>
void as_they_are(const Tensor& x, Tensor& y, Call&& call) {
  if (has_cpu_kernel(x)) {
    call(x.const_data_ptr<float>(), y.mutable_data_ptr<float>());
  } else {
    call(half_data(x), half_data(y));
  }
}

constexpr int64_t kCachedFloats = 4096;  // of each tensor, 16 KiB

// kernel(in, out, first, count) for pieces of the rows begin .. end, of `piece` rows at most where they are bfloat16
// (0: as many as stay cached); in[i] and out[i] are the first row of the piece. All tensors are contiguous, of one
// dtype, and have as many rows; what is read and what is written do not overlap.
template <size_t Inputs, size_t Outputs, typename Kernel>
void float_rows(const std::array<const Tensor*, Inputs>& inputs, const std::array<Tensor*, Outputs>& outputs,
                int64_t begin, int64_t end, int64_t piece, Kernel&& kernel) {
  std::array<const float*, Inputs> in{};
  std::array<float*, Outputs> out{};
  if (has_cpu_kernel(*outputs[0])) {
    for (size_t i = 0; i < Inputs; ++i)
      in[i] = inputs[i]->template const_data_ptr<float>() + begin * inputs[i]->size(-1);
    for (size_t i = 0; i < Outputs; ++i) {
      out[i] = outputs[i]->template mutable_data_ptr<float>() + begin * outputs[i]->size(-1);
    }
    kernel(in, out, begin, end - begin);
    return;
  }
  int64_t widest = 1, total = 0;
  for (const Tensor* tensor : inputs) widest = std::max(widest, tensor->size(-1)), total += tensor->size(-1);
  for (const Tensor* tensor : outputs) widest = std::max(widest, tensor->size(-1)), total += tensor->size(-1);
  const int64_t most = std::min(end - begin, piece > 0 ? piece : std::max<int64_t>(1, kCachedFloats / widest));
  std::vector<float> scratch(static_cast<size_t>(std::max<int64_t>(0, most) * total));
  for (int64_t first = begin; first < end; first += most) {
    const int64_t count = std::min(most, end - first);
    float* next = scratch.data();
    for (size_t i = 0; i < Inputs; ++i) {
      const int64_t width = inputs[i]->size(-1);
      kernels::widen(half_data(*inputs[i]) + first * width, next, count * width);
      in[i] = next;
      next += count * width;
    }
    for (size_t i = 0; i < Outputs; ++i) {
      out[i] = next;
      next += count * outputs[i]->size(-1);
    }
    kernel(in, out, first, count);
    for (size_t i = 0; i < Outputs; ++i) {
      const int64_t width = outputs[i]->size(-1);
      kernels::narrow(out[i], half_data(*outputs[i]) + first * width, count * width);
    }
  }
}

}  // namespace merge::ops
