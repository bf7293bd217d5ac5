// swiglu: reference from basic ops, and the CPU and CUDA kernels with their backward.
#include "ops/swiglu.h"

#include <ATen/record_function.h>

#include "kernels/cpu.h"
#include "ops/cuda.h"
#include "ops/float_rows.h"

namespace merge::ops {
namespace {

constexpr int64_t kGrain = 32;

// Saved: gate_up [T, 2F].
struct Swiglu : torch::autograd::Function<Swiglu> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& gate_up) {
    const int64_t rows = gate_up.size(0), width = gate_up.size(1) / 2;
    Tensor y = at::empty({rows, width}, gate_up.options());
    context->save_for_backward({gate_up});
    if (gate_up.is_cuda()) {
      launch(cuda_table().swiglu_forward, gate_up, gate_up.const_data_ptr(), y.mutable_data_ptr(), rows, width);
      return y;
    }
    as_they_are(gate_up, y, [&](auto* in, auto* out) {
      at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
        kernels::swiglu_forward(in + begin * 2 * width, out + begin * width, end - begin, width);
      });
    });
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const Tensor gate_up = context->get_saved_variables()[0];
    const Tensor grad_y = grads[0].contiguous();
    Tensor grad = at::empty_like(gate_up);
    if (gate_up.is_cuda()) {
      launch(cuda_table().swiglu_backward, gate_up, grad_y.const_data_ptr(), gate_up.const_data_ptr(),
             grad.mutable_data_ptr(), gate_up.size(0), gate_up.size(1) / 2);
      return {grad};
    }
    at::parallel_for(0, gate_up.size(0), kGrain, [&](int64_t begin, int64_t end) {
      float_rows<2, 1>({&grad_y, &gate_up}, {&grad}, begin, end, 0, [&](auto& in, auto& out, int64_t, int64_t count) {
        kernels::swiglu_backward(in[0], in[1], out[0], 0, count, gate_up.size(1) / 2);
      });
    });
    return {grad};
  }
};

}  // namespace

Tensor swiglu_reference(const Tensor& gate_up) {
  const auto halves = gate_up.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

Tensor swiglu(const Tensor& gate_up) {
  RECORD_USER_SCOPE("swiglu");
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "swiglu: expected [T, 2F], received ", gate_up.sizes());
  if (!has_cpu_rows(gate_up) && !has_cuda_kernel(gate_up)) return swiglu_reference(gate_up);
  return Swiglu::apply(gate_up.contiguous());
}

}  // namespace merge::ops
