// rms_norm: reference from basic ops, and the CPU and CUDA kernels with their backward.
#include "ops/rms_norm.h"

#include <ATen/record_function.h>

#include "kernels/cpu.h"
#include "ops/cuda.h"
#include "ops/float_rows.h"

namespace merge::ops {
namespace {

constexpr int64_t kGrain = 64;        // rows a thread takes at least, so that small inputs stay on one thread
constexpr int64_t kCudaShares = 256;  // of the rows at most, for the weight's gradient: enough blocks for any GPU

// Saved: x [T, D], weight [D], scale [T].
struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x_TD, const Tensor& weight_D,
                        double epsilon) {
    const int64_t width = x_TD.size(-1), rows = x_TD.numel() / width;
    Tensor y_TD = at::empty_like(x_TD), scale_T = at::empty({rows}, x_TD.options().dtype(at::kFloat));
    context->save_for_backward({x_TD, weight_D, scale_T});
    if (x_TD.is_cuda()) {
      launch(cuda_table().rms_norm_forward, x_TD, x_TD.const_data_ptr(), weight_D.const_data_ptr<float>(),
             y_TD.mutable_data_ptr(), scale_T.mutable_data_ptr<float>(), rows, width, static_cast<float>(epsilon));
      return y_TD;
    }
    as_they_are(x_TD, y_TD, [&](auto* in, auto* out) {
      at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
        kernels::rms_norm_forward(in + begin * width, weight_D.const_data_ptr<float>(), out + begin * width,
                                  scale_T.mutable_data_ptr<float>() + begin, end - begin, width,
                                  static_cast<float>(epsilon));
      });
    });
    return y_TD;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor &x_TD = saved[0], &weight_D = saved[1], &scale_T = saved[2];
    const Tensor grad_y = grads[0].contiguous();
    const int64_t width = x_TD.size(-1), rows = x_TD.numel() / width;
    Tensor grad_x = at::empty_like(x_TD);
    if (x_TD.is_cuda()) {
      const int64_t shares = std::clamp<int64_t>(rows / kGrain, 1, kCudaShares);
      Tensor grad_weight = at::empty({shares, width}, weight_D.options());
      launch(cuda_table().rms_norm_backward, x_TD, grad_y.const_data_ptr(), x_TD.const_data_ptr(),
             weight_D.const_data_ptr<float>(), scale_T.const_data_ptr<float>(), grad_x.mutable_data_ptr(),
             grad_weight.mutable_data_ptr<float>(), shares, rows, width);
      return {grad_x, grad_weight.sum(0), Tensor()};
    }
    // Fixed shares, so that the sum over shares does not depend on which thread took which.
    const int64_t shares = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows / kGrain));
    Tensor grad_weight = at::zeros({shares, width}, weight_D.options());
    at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
      for (int64_t share = first; share < last; ++share) {
        float_rows<2, 1>({&grad_y, &x_TD}, {&grad_x}, rows * share / shares, rows * (share + 1) / shares, 0,
                         [&](auto& in, auto& out, int64_t begin, int64_t count) {
                           kernels::rms_norm_backward(
                               in[0], in[1], weight_D.const_data_ptr<float>(), scale_T.const_data_ptr<float>() + begin,
                               out[0], grad_weight.mutable_data_ptr<float>() + share * width, 0, count, width);
                         });
      }
    });
    return {grad_x, shares == 1 ? grad_weight.view({width}) : grad_weight.sum(0), Tensor()};
  }
};

}  // namespace

Tensor rms_norm_reference(const Tensor& x, const Tensor& weight, double epsilon) {
  // bfloat16 keeps its statistics in float32.
  const auto wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const Tensor x_wide = x.to(wide);
  const Tensor scale = (x_wide.square().mean(-1, true) + epsilon).rsqrt();
  return (x_wide * scale * weight.to(wide)).to(x.scalar_type());
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon) {
  RECORD_USER_SCOPE("rms_norm");
  TORCH_CHECK(weight.dim() == 1 && x.size(-1) == weight.size(0), "rms_norm: expected weight of ", x.size(-1),
              " values, received ", weight.sizes());
  if (!has_cpu_rows(x) && !has_cuda_kernel(x)) return rms_norm_reference(x, weight, epsilon);
  return RmsNorm::apply(x.contiguous(), weight.to(at::kFloat), epsilon);
}

}  // namespace merge::ops
