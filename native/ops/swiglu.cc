// swiglu: reference from basic ops, and the CPU and CUDA kernels with their backward.
#include "ops/swiglu.h"

#include "kernels/cpu.h"
#include "ops/cuda.h"

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
    at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
      kernels::swiglu_forward(gate_up.const_data_ptr<float>(), y.mutable_data_ptr<float>(), begin, end, width);
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
      kernels::swiglu_backward(grad_y.const_data_ptr<float>(), gate_up.const_data_ptr<float>(),
                               grad.mutable_data_ptr<float>(), begin, end, gate_up.size(1) / 2);
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
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "swiglu: expected [T, 2F], received ", gate_up.sizes());
  if (!has_cpu_kernel(gate_up) && !has_cuda_kernel(gate_up)) return swiglu_reference(gate_up);
  return Swiglu::apply(gate_up.contiguous());
}

}  // namespace merge::ops
